"""The people of the tour and the tutorial: fixed, fictitious, and named as such.

*Mẫu* is a sample, *Thí Dụ* an example, *Minh Họa* an illustration, *Giả Định* an assumption.
"""

from __future__ import annotations

from lienthong.demo.people import FEMALE, MALE, MARRIED, SINGLE, WIDOWED, Birth, Marriage, Person

FATHER = "001090000001"
MOTHER = "001192000002"
DAUGHTER = "001316000003"
GRANDFATHER = "020055000004"
STUDENT = "079205000005"

HOAN_KIEM = ("00070", "01", "Phường Hoàn Kiếm, Thành phố Hà Nội")
KY_LUA = ("06187", "20", "Phường Kỳ Lừa, Lạng Sơn")
SAI_GON = ("26740", "79", "Phường Sài Gòn, Thành phố Hồ Chí Minh")


def _person(
    number: str,
    name: str,
    born: str,
    sex: str,
    place: tuple[str, str, str],
    status: str,
    relation: str,
) -> Person:
    commune, province, text = place
    household = {HOAN_KIEM: "H-MAU-01", KY_LUA: "H-MAU-02", SAI_GON: "H-MAU-03"}[place]
    return Person(
        number,
        name,
        born,
        sex,
        "Kinh",
        "Không",
        "Việt Nam",
        text,
        f"Số 1, Tổ dân phố giả định 1, {text}",
        commune,
        province,
        f"0100{number[-7:]}",
        status,
        "O",
        household,
        relation,
    )


PERSONAS: tuple[Person, ...] = (
    _person(FATHER, "Nguyễn Văn Mẫu", "1990-03-15", MALE, HOAN_KIEM, MARRIED, "Chủ hộ"),
    _person(MOTHER, "Trần Thị Thí Dụ", "1992-07-20", FEMALE, HOAN_KIEM, MARRIED, "Vợ"),
    _person(DAUGHTER, "Nguyễn Minh Họa", "2016-11-05", FEMALE, HOAN_KIEM, SINGLE, "Con"),
    _person(GRANDFATHER, "Lý Giả Định", "1955-01-30", MALE, KY_LUA, WIDOWED, "Chủ hộ"),
    _person(STUDENT, "Đỗ Ví Dụ", "2005-09-09", MALE, SAI_GON, SINGLE, "Chủ hộ"),
)

PERSONA_BIRTH = Birth(
    "KS-2016-MAU0001",
    DAUGHTER,
    "Nguyễn Minh Họa",
    "2016-11-05",
    FEMALE,
    HOAN_KIEM[2],
    FATHER,
    "Nguyễn Văn Mẫu",
    MOTHER,
    "Trần Thị Thí Dụ",
    "2016-11-20",
    HOAN_KIEM[0],
)

PERSONA_MARRIAGE = Marriage(
    "KH-2015-MAU0001",
    FATHER,
    "Nguyễn Văn Mẫu",
    MOTHER,
    "Trần Thị Thí Dụ",
    "2015-02-14",
    HOAN_KIEM[0],
)
