"""A fictitious hospital's records and a fictitious list of health facilities."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from random import Random
from typing import NamedTuple

from lienthong.demo.people import Person
from lienthong.demo.places import TODAY, Commune, communes

# Diagnoses by ICD-10, with the department that treats them.
DIAGNOSES = (
    ("J06", "Nhiễm khuẩn hô hấp trên cấp", "K01"),
    ("I10", "Tăng huyết áp nguyên phát", "K03"),
    ("E11", "Đái tháo đường típ 2", "K03"),
    ("A91", "Sốt xuất huyết Dengue", "K11"),
    ("J18", "Viêm phổi", "K18"),
    ("K29", "Viêm dạ dày và tá tràng", "K03"),
    ("S52", "Gãy xương cẳng tay", "K19"),
)
DEPARTMENTS = {
    "K01": "Khoa Khám bệnh",
    "K03": "Khoa Nội tổng hợp",
    "K11": "Khoa Truyền nhiễm",
    "K18": "Khoa Nhi",
    "K19": "Khoa Ngoại tổng hợp",
}
KINDS = (
    ("Bệnh viện đa khoa", "Bệnh viện"),
    ("Trung tâm y tế", "Trung tâm y tế"),
    ("Phòng khám đa khoa", "Phòng khám"),
    ("Trạm y tế", "Trạm y tế"),
)


class Patient(NamedTuple):
    """One row of the hospital's own index of patients."""

    ma_bn: str
    so_dinh_danh: str
    ho_ten: str
    ngay_sinh: str
    gioi_tinh: str


class Encounter(NamedTuple):
    """One visit or stay (đợt khám chữa bệnh)."""

    ma_lk: str
    ma_bn: str
    ngay_vao: str
    ngay_ra: str
    ma_khoa: str
    ma_benh: str
    ten_benh: str
    ket_qua_dtri: int


class Facility(NamedTuple):
    """One row of the Ministry of Health's list of facilities."""

    ma_cskcb: str
    ten_co_so: str
    loai_hinh: str
    dia_chi: str
    ma_xa: str
    ma_tinh: str
    so_giuong: int
    nguoi_phu_trach: str


def patients(people: Sequence[Person]) -> list[Patient]:
    """Make the given people patients of the hospital."""
    return [
        Patient(
            f"BN{number:06d}",
            person.so_dinh_danh,
            person.ho_ten,
            person.ngay_sinh,
            person.gioi_tinh,
        )
        for number, person in enumerate(people, 1)
    ]


def encounters(known: Sequence[Patient], random: Random) -> Iterator[Encounter]:
    """Make one to three visits for every patient, in the year before TODAY."""
    number = 0
    for patient in known:
        for _ in range(1 + int(random.random() * 3)):
            number += 1
            yield _encounter(patient, number, random)


def _encounter(patient: Patient, number: int, random: Random) -> Encounter:
    earliest = max(date.fromisoformat(patient.ngay_sinh), TODAY - timedelta(days=365))
    began = earliest + timedelta(days=int(random.random() * (TODAY - earliest).days))
    ended = min(began + timedelta(days=int(random.random() * 9)), TODAY)
    code, name, department = random.choice(DIAGNOSES)
    return Encounter(
        f"MAU.{began.year}.{number:06d}",
        patient.ma_bn,
        began.isoformat(),
        ended.isoformat(),
        department,
        code,
        name,
        random.choice((1, 1, 1, 2, 2, 3)),
    )


def facilities(random: Random, count: int = 600) -> list[Facility]:
    """Make facilities spread over the communes, each with a five-character code."""
    places = communes()
    step = len(places) / count
    return [_facility(places[int(index * step)], index, random) for index in range(count)]


def _facility(place: Commune, index: int, random: Random) -> Facility:
    kind, prefix = KINDS[index % len(KINDS)]
    beds = 0 if kind == "Phòng khám đa khoa" else int(random.random() * 400) + 5
    return Facility(
        f"{place.province_code}{_three(index)}",
        f"{prefix} Minh Họa số {index + 1}",
        kind,
        f"Số {index % 200 + 1}, {place.name}, {place.province}",
        place.code,
        place.province_code,
        beds,
        f"Người Phụ Trách Giả Định {index + 1}",
    )


def _three(index: int) -> str:
    """Serial part of a facility code: a letter and two digits (Z00 … A99 are all allowed)."""
    return f"{chr(ord('Z') - index // 100)}{index % 100:02d}"
