"""The nation as data: which agencies, systems, services and agreements the demo has.

Names of ministries are real, so that the picture is familiar; their data is generated and
the keys are made on this machine. The hospital does not exist.
"""

from __future__ import annotations

from dataclasses import dataclass

INSTANCE = "VN"
MEMBER_CLASS = "GOV"

# Codes of the national database of administrative procedures, used as purposes.
RESIDENCE, BIRTH, MARRIAGE = "1.004222", "1.001193", "1.000894"
OVERSIGHT, REFERRAL, ADMISSION = "giam-sat-dich-benh", "chuyen-tuyen", "tiep-nhan-nguoi-benh"


@dataclass(frozen=True)
class ContractService:
    """A service whose answers are made of the fields of a contract."""

    code: str
    contract: str
    source: str  # with {data}: the folder of the registers


@dataclass(frozen=True)
class RelayService:
    """An existing web service, passed through whole under one classification."""

    code: str
    path: str
    classification: str


@dataclass(frozen=True)
class Agency:
    """One agency with one node and one information system."""

    folder: str
    code: str
    name: str
    subsystem: str
    system_name: str
    services: tuple[ContractService | RelayService, ...] = ()

    @property
    def client_id(self) -> str:
        """The identifier of its information system."""
        return f"{INSTANCE}/{MEMBER_CLASS}/{self.code}/{self.subsystem}"

    def service_id(self, code: str) -> str:
        """The identifier of one of its services."""
        return f"{self.client_id}/{code}"


@dataclass(frozen=True)
class Agreement:
    """What one agency may ask of another; see ``lienthong agreement propose --help``."""

    consumer: Agency
    provider: Agency
    service: str
    purposes: tuple[str, ...]
    legal_basis: str
    fields: tuple[str, ...] = ()
    endpoints: tuple[str, ...] = ()
    rate: int = 200
    daily: int = 100_000

    @property
    def service_id(self) -> str:
        """The identifier of the service asked."""
        return self.provider.service_id(self.service)


POLICE = Agency(
    "bo-cong-an",
    "G01",
    "Bộ Công an",
    "dancu",
    "Cơ sở dữ liệu dân cư",
    (ContractService("cong-dan", "cong-dan.odcs.yaml", "sqlite:///{data}/population.db"),),
)
JUSTICE = Agency(
    "bo-tu-phap",
    "G15",
    "Bộ Tư pháp",
    "hotich",
    "Cơ sở dữ liệu hộ tịch",
    (
        ContractService("khai-sinh", "khai-sinh.odcs.yaml", "sqlite:///{data}/civil-status.db"),
        ContractService("ket-hon", "ket-hon.odcs.yaml", "sqlite:///{data}/civil-status.db"),
    ),
)
HEALTH = Agency(
    "bo-y-te",
    "G18",
    "Bộ Y tế",
    "cosoyte",
    "Danh mục cơ sở khám bệnh, chữa bệnh",
    (ContractService("co-so", "co-so-y-te.odcs.yaml", "csv://{data}/facilities.csv"),),
)
HOSPITAL = Agency(
    "benh-vien",
    "G18.99",
    "Bệnh viện Đa khoa Minh Họa",
    "benhvien",
    "Hệ thống thông tin bệnh viện",
    (RelayService("hoat-dong", "/api/v1", "internal"),),
)
ONE_STOP = Agency(
    "mot-cua",
    "H37",
    "Bộ phận Một cửa tỉnh Lạng Sơn",
    "motcua",
    "Hệ thống một cửa điện tử",
)
AGENCIES = (POLICE, JUSTICE, HEALTH, HOSPITAL, ONE_STOP)

AGREEMENTS = (
    Agreement(
        ONE_STOP,
        POLICE,
        "cong-dan",
        (RESIDENCE, BIRTH),
        "Nghị định 47/2020/NĐ-CP; Nghị định 107/2021/NĐ-CP",
        ("so_dinh_danh", "ho_ten", "ngay_sinh", "gioi_tinh", "noi_thuong_tru"),
    ),
    Agreement(
        ONE_STOP,
        JUSTICE,
        "khai-sinh",
        (BIRTH, RESIDENCE),
        "Nghị định 47/2020/NĐ-CP; Nghị định 107/2021/NĐ-CP",
        ("so_dinh_danh", "ho_ten", "ngay_sinh", "ho_ten_cha", "ho_ten_me", "ngay_dang_ky"),
    ),
    Agreement(
        JUSTICE,
        POLICE,
        "cong-dan",
        (MARRIAGE, BIRTH),
        "Nghị định 47/2020/NĐ-CP",
        ("so_dinh_danh", "ho_ten", "ngay_sinh", "gioi_tinh", "tinh_trang_hon_nhan"),
    ),
    Agreement(
        HOSPITAL,
        HEALTH,
        "co-so",
        (REFERRAL,),
        "Luật Khám bệnh, chữa bệnh 15/2023/QH15",
        ("ma_cskcb", "ten_co_so", "loai_hinh", "dia_chi", "ma_tinh", "so_giuong"),
    ),
    Agreement(
        HEALTH,
        HOSPITAL,
        "hoat-dong",
        (OVERSIGHT,),
        "Luật Khám bệnh, chữa bệnh 15/2023/QH15",
        endpoints=("GET /giuong-benh", "GET /dot-kham/**", "POST /canh-bao"),
    ),
)

# Proposed, used and withdrawn by the tour itself, to show how a right begins and ends.
TEMPORARY = Agreement(
    HOSPITAL,
    POLICE,
    "cong-dan",
    (ADMISSION,),
    "Luật Khám bệnh, chữa bệnh 15/2023/QH15",
    ("so_dinh_danh", "ho_ten", "ngay_sinh", "gioi_tinh"),
)
