"""Which columns hold data about people: by name, with and without diacritics, and by values.

    recognise("SO_DDCN", values)      # Finding(CITIZEN_NUMBER, …, confidence=0.99, "tên cột; …")

Names speak where a table is empty, values where a column is called C07. Where both agree the
finding is nearly certain. Where a name speaks and the values contradict it, the finding stays,
with little confidence: it is better to ask a person than to publish somebody's number.

Sensitive are the kinds that Nghị định 13/2023/NĐ-CP, article 2(4), lists: health, origin, religion,
biometrics, crime, accounts at banks, location. Citizen numbers are checked as
``identity/citizen.py`` has it: the place of registration and the year of birth must exist.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from datetime import date
from typing import Any, NamedTuple

from lienthong.contracts.classification import Classification
from lienthong.contracts.details import PersonalData
from lienthong.errors import InvalidCitizenNumber
from lienthong.identity.citizen import CitizenNumber, NumberKind
from lienthong.sources.inference.births import births_among, may_be_birth

FEWEST_VALUES = 3  # fewer prove nothing
MOST_VALUES = 500  # of a sample, looked at one by one
_SHARE_THAT_SPEAKS = 0.8
_SHARE_THAT_CONTRADICTS = 0.2


class Finding(NamedTuple):
    """What a column seems to hold, how sure that is (0 to 1), and what speaks for it."""

    kind: PersonalData
    classification: Classification
    confidence: float
    why: str


class _Name(NamedTuple):
    kind: PersonalData
    words: re.Pattern[str]
    sensitive: bool = False


def _name(kind: PersonalData, words: str, sensitive: bool = False) -> _Name:
    return _Name(kind, re.compile(rf"(?:^|_)(?:{words})(?:_|$)"), sensitive)


# The first that fits counts. Words are folded: lower case, no diacritics, parted by "_".
_NAMES = (
    _name(PersonalData.EMAIL, "e_?mails?|thu_dien_tu|hop_thu"),
    _name(
        PersonalData.PHONE,
        r"(?:so_)?(?:dien_thoai|dt_?dd|di_dong|dthoai)|sdt\w*|so_dt\w*|dtdd|tel|telephone|phones?"
        r"|phone_number|mobile|cellphone|hotline",
    ),
    _name(
        PersonalData.INSURANCE_CARD,
        r"bhyt|bhxh|so_bhyt|ma_bhyt|bao_hiem_(?:y_te|xa_hoi)|the_bao_hiem|so_the_bh\w*|ma_the(?:_bh\w*)?"
        r"|insurance(?:_(?:card|number|no|id))?|health_card",
    ),
    _name(
        PersonalData.CITIZEN_NUMBER,
        r"so_dinh_danh(?:_ca_nhan)?|dinh_danh_ca_nhan|so_dd_?cn|dd_?cn|so_cccd|cccd|cmnd|cmt|cmtnd|so_cmnd"
        r"|can_cuoc(?:_cong_dan)?|so_can_cuoc|cc_?cd|chung_minh(?:_nhan_dan|_thu)?|so_giay_to"
        r"|ho_chieu|passport(?:_(?:no|number))?|citizen_?(?:id|no|number)|national_?id\w*"
        r"|identity_(?:card|number|no)|id_?card|personal_id\w*|ma_so_thue_ca_nhan",
    ),
    _name(
        PersonalData.BIRTH_DATE,
        r"ngay_sinh|ngay_thang_nam_sinh|nam_sinh|thang_sinh|ntns|ngaysinh|namsinh|dob|birth\w*"
        r"|date_of_birth|year_of_birth",
    ),
    _name(
        PersonalData.ADDRESS,
        r"dia_chi\w*|diachi|noi_(?:o|cu_tru|thuong_tru|tam_tru|sinh|dang_ky_thuong_tru)|thuong_tru"
        r"|tam_tru|cho_o|que_quan|nguyen_quan|so_nha|address\w*|street|residence|hktt|dctt",
    ),
    _name(
        PersonalData.HEALTH,
        r"chan_doan\w*|benh(?:_\w+)?|icd\w*|tien_su|nhom_mau|xet_nghiem|hiv|khuyet_tat|dieu_tri"
        r"|diagnos[ei]s|disease|blood_(?:type|group)|health|suc_khoe|di_ung|thuoc",
        sensitive=True,
    ),
    _name(
        PersonalData.OTHER,
        r"ton_giao|dan_toc|religion|ethnic\w*|race|van_tay|sinh_trac\w*|khuon_mat|mong_mat|biometric\w*"
        r"|fingerprint\w*|tien_an|an_tich|toi_danh|criminal\w*|so_tai_khoan|tai_khoan_ngan_hang|stk"
        r"|bank_account|iban|toa_do|vi_tri|kinh_do|vi_do|latitude|longitude|gps|dang_vien|chinh_tri",
        sensitive=True,
    ),
    _name(
        PersonalData.NAME,
        r"ho_(?:va_)?ten(?:_\w+)?|ho_ten_\w+|hoten|ho_(?:chu_)?dem(?:_\w+)?|ten_dem|chu_dem|ten_khai_sinh"
        r"|ten_goi_khac|ten_(?:chu_ho|cong_dan|benh_nhan|nguoi_\w+|me|cha|bo|vo|chong|con|hoc_sinh"
        r"|can_bo|nhan_vien)|full_?name|(?:first|last|middle|given|family|sur)_?name|surname|nguoi_dung_ten"
        r"|chu_ho|nguoi_nop|nguoi_dai_dien|patient_name",
    ),
    _name(
        PersonalData.OTHER,
        r"gioi_tinh|quoc_tich|hon_nhan|tinh_trang_hon_nhan|nghe_nghiep|hoc_van|trinh_do|sex|gender"
        r"|nationality|marital\w*|occupation|thu_nhap|luong|muc_luong|income|salary|anh_(?:chan_dung|the)"
        r"|photo|chu_ky|chieu_cao|can_nang",
    ),
)

_PHONE = re.compile(r"(?:\+?84|0)(?:[35789][0-9]{8}|2[0-9]{9})")
_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s.]+(?:\.[^@\s.]+)+")
# Quyết định 1351/QĐ-BHXH: two letters, the level of benefit, the province, ten digits.
_INSURANCE = re.compile(r"[A-Z]{2}[1-5][0-9]{12}")
_SURNAMES = re.compile(
    "nguyen|tran|le|pham|hoang|huynh|phan|vu|vo|dang|bui|do|ho|ngo|duong|ly|dinh|doan|lam|trinh|mai"
    "|dao|cao|luong|luu|ha|trieu|truong|ta|chu|chau|quach|to|thai|tong|vuong|ton|dam|phung|kieu"
)
_PLACES = re.compile(
    r"\b(?:thon|xom|ap|ban|buon|to dan pho|khu pho|so nha|duong|pho|ngo|hem|xa|phuong|dac khu"
    r"|thi tran|quan|huyen|tinh|thanh pho|tp)\b"
)
_WORDS_APART = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def folded(text: str) -> str:
    """Lower case, no diacritics, words parted by one ``_``: ``Họ tên``, ``hoTen`` → ``ho_ten``."""
    marked = unicodedata.normalize("NFKD", text.replace("đ", "d").replace("Đ", "D"))
    plain = "".join(letter for letter in marked if not unicodedata.combining(letter))
    return re.sub(r"[\W_]+", "_", _WORDS_APART.sub("_", plain)).strip("_").lower()


def recognise(name: str, values: Sequence[Any], comment: str = "") -> Finding | None:
    """Say which personal data a column seems to hold, if any."""
    written = [value for value in values if isinstance(value, str | int | date)]
    texts = [str(value).strip() for value in written[:MOST_VALUES]]
    texts = [text for text in texts if text]
    named = _by_name(name) or _by_name(comment)
    if named is not None:
        return _named(named, texts)
    if len(texts) < FEWEST_VALUES:
        return None
    # That a value may be a day of birth says nothing by itself: any day of the past may.
    tests = {kind: test for kind, test in _TESTS.items() if kind is not PersonalData.BIRTH_DATE}
    shares = {kind: _share(texts, test) for kind, test in tests.items()}
    kind = max(shares, key=lambda each: shares[each])
    if shares[kind] < _SHARE_THAT_SPEAKS:
        told = births_among(folded(f"{name[:200]} {comment[:200]}"), texts)
        if told is None:
            return None
        return Finding(PersonalData.BIRTH_DATE, Classification.PERSONAL, 0.6, told)
    why = f"{shares[kind]:.0%} giá trị mẫu có dạng {WORDS[kind]}"
    return Finding(kind, Classification.PERSONAL, round(0.9 * shares[kind], 2), why)


def _by_name(name: str) -> _Name | None:
    text = folded(name[:200])
    return next((each for each in _NAMES if each.words.search(text)), None)


def _named(named: _Name, texts: list[str]) -> Finding:
    level = Classification.SENSITIVE if named.sensitive else Classification.PERSONAL
    test = _TESTS.get(named.kind)
    if test is None or len(texts) < FEWEST_VALUES:
        return Finding(named.kind, level, 0.8, f"tên cột là tên của {WORDS[named.kind]}")
    share = _share(texts, test)
    why = f"tên cột là tên của {WORDS[named.kind]}; {share:.0%} giá trị mẫu có dạng đó"
    if share >= _SHARE_THAT_SPEAKS:
        return Finding(named.kind, level, 0.99, why)
    confidence = 0.4 if share <= _SHARE_THAT_CONTRADICTS else 0.7
    return Finding(named.kind, level, confidence, why)


def _share(texts: Sequence[str], test: Callable[[str], bool]) -> float:
    return sum(map(test, texts)) / len(texts)


def is_citizen_number(text: str) -> bool:
    """Twelve digits of a province that exists and a year of birth that has come; or a passport."""
    try:
        number = CitizenNumber.parse(text)
    except InvalidCitizenNumber:
        return False
    if number.kind is not NumberKind.PERSONAL:
        return False  # nine digits may be anything: only the column's name can tell
    born = number.birth_year or 0
    return number.birth_province is not None and born <= date.today().year  # noqa: DTZ011


def _is_phone(text: str) -> bool:
    return _PHONE.fullmatch(re.sub(r"[ .()-]", "", text[:30])) is not None


def _is_name(text: str) -> bool:
    words = text.split() if len(text) <= 60 else []
    plain = folded(words[0]) if words else ""
    letters = all(word.isalpha() and word[0].isupper() for word in words)
    return 2 <= len(words) <= 6 and letters and _SURNAMES.fullmatch(plain) is not None


def _is_address(text: str) -> bool:
    plain = folded(text[:300]).replace("_", " ")
    exact = "," in text or any(letter.isdigit() for letter in text)
    return exact and len(plain.split()) >= 4 and _PLACES.search(plain) is not None


_TESTS: dict[PersonalData, Callable[[str], bool]] = {
    PersonalData.CITIZEN_NUMBER: is_citizen_number,
    PersonalData.INSURANCE_CARD: lambda text: _INSURANCE.fullmatch(text) is not None,
    PersonalData.PHONE: _is_phone,
    PersonalData.EMAIL: lambda text: len(text) < 320 and _EMAIL.fullmatch(text) is not None,
    PersonalData.NAME: _is_name,
    PersonalData.ADDRESS: _is_address,
    PersonalData.BIRTH_DATE: may_be_birth,
}

WORDS = {
    PersonalData.CITIZEN_NUMBER: "số định danh cá nhân",
    PersonalData.INSURANCE_CARD: "thẻ bảo hiểm",
    PersonalData.PHONE: "số điện thoại",
    PersonalData.EMAIL: "thư điện tử",
    PersonalData.NAME: "họ tên",
    PersonalData.ADDRESS: "địa chỉ",
    PersonalData.BIRTH_DATE: "ngày sinh",
    PersonalData.HEALTH: "dữ liệu sức khỏe",
    PersonalData.OTHER: "dữ liệu cá nhân",
}
