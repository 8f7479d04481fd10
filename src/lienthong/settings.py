"""One table of settings: it feeds the environment, the TOML file, ``--help`` and the docs.

    settings = load_settings(state_folder / "node.toml", environment=os.environ)
    settings.clock_skew_seconds

Precedence: environment (``LIENTHONG_<NAME>``), then the TOML file, then the default.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from lienthong.errors import ConfigurationError, InvalidSetting, UnknownSetting

ENVIRONMENT_PREFIX = "LIENTHONG_"


class Setting(NamedTuple):
    """One line of the table; the type of the default is the type of the setting."""

    name: str
    default: str | int | float | bool
    help_vi: str
    help_en: str
    secret: bool = False


TABLE: tuple[Setting, ...] = (
    Setting(
        "language",
        "vi",
        "Ngôn ngữ của thông báo: vi hoặc en",
        "Language of messages: vi or en",
    ),
    Setting(
        "database",
        "",
        "Địa chỉ SQLAlchemy của cơ sở dữ liệu của nút; để trống: SQLite trong thư mục trạng thái",
        "SQLAlchemy address of the node's database; empty: SQLite in the state folder",
        secret=True,
    ),
    Setting(
        "client_http_listen",
        "127.0.0.1:8080",
        "Nơi hệ thống trong cơ quan gọi nút bằng HTTP (chỉ loopback); để trống: tắt",
        "Where the agency's own systems call the node over HTTP (loopback only); empty: off",
    ),
    Setting(
        "client_https_listen",
        "",
        "Nơi hệ thống trong cơ quan gọi nút bằng HTTPS; để trống: tắt",
        "Where the agency's own systems call the node over HTTPS; empty: off",
    ),
    Setting(
        "peer_listen",
        "0.0.0.0:5500",
        "Nơi các nút khác gọi nút này bằng TLS hai chiều",
        "Where other nodes call this node over mutual TLS",
    ),
    Setting(
        "operations_listen",
        "127.0.0.1:9500",
        "Nơi phục vụ /health và /metrics; để trống: tắt",
        "Where /health and /metrics are served; empty: off",
    ),
    Setting(
        "directory_url",
        "",
        "Địa chỉ danh bạ (tệp tĩnh TUF)",
        "Address of the directory (static TUF files)",
    ),
    Setting(
        "catalogue_url",
        "",
        "Địa chỉ danh mục mà nút công bố hợp đồng lên",
        "Address of the catalogue to which the node publishes contracts",
    ),
    Setting(
        "catalogue_users",
        "named",
        "Danh mục nêu ai đang dùng dữ liệu: named (tên cơ quan nhà nước) hoặc counted (chỉ đếm)",
        "Who uses the data, in the catalogue: named (state agencies by name) or counted",
    ),
    Setting(
        "directory_refresh_seconds",
        60.0,
        "Khoảng cách giữa hai lần làm mới danh bạ",
        "Time between two refreshes of the directory",
    ),
    Setting(
        "clock_skew_seconds",
        60.0,
        "Chênh lệch đồng hồ tối đa với nút khác",
        "Largest clock difference to another node",
    ),
    Setting(
        "message_lifetime_seconds",
        300.0,
        "Thông điệp cũ hơn mức này bị từ chối; mã yêu cầu được nhớ ít nhất bấy lâu",
        "Messages older than this are refused; request ids are remembered at least this long",
    ),
    Setting(
        "service_timeout_seconds",
        60.0,
        "Thời gian chờ dịch vụ trả lời",
        "Time to wait for a service's answer",
    ),
    Setting(
        "connect_timeout_seconds",
        10.0,
        "Thời gian chờ kết nối",
        "Time to wait for a connection",
    ),
    Setting(
        "drain_seconds",
        30.0,
        "Thời gian chờ các yêu cầu đang chạy khi dừng nút",
        "Time to wait for running requests when the node stops",
    ),
    Setting(
        "request_limit_bytes",
        1_073_741_824,
        "Kích thước tối đa của thân một thông điệp",
        "Largest body of a message",
    ),
    Setting(
        "spool_threshold_bytes",
        1_048_576,
        "Thân lớn hơn mức này được ghi xuống đĩa trước khi ký",
        "Bodies larger than this are written to disk before they are signed",
    ),
    Setting(
        "log_bodies",
        "full",
        "Mặc định lưu thân thông điệp trong sổ: full, metadata hoặc none",
        "Default logging of bodies in the ledger: full, metadata or none",
    ),
    Setting(
        "body_retention_days",
        30.0,
        "Số ngày giữ thân thông điệp; mã băm được giữ mãi",
        "Days that bodies are kept; hashes are kept for good",
    ),
    Setting(
        "receipt_interval_seconds",
        5.0,
        "Khoảng cách giữa hai lần gửi xác nhận đã nhận cho nút khác",
        "Time between two deliveries of receipts to other nodes",
    ),
    Setting(
        "consistency_interval_seconds",
        60.0,
        "Khoảng cách giữa hai lần kiểm tra đầu sổ của nút khác",
        "Time between two checks of other nodes' heads",
    ),
    Setting(
        "time_stamp_urls",
        "",
        "Địa chỉ các cơ quan cấp dấu thời gian (RFC 3161), cách nhau bằng dấu phẩy, hỏi lần lượt",
        "Addresses of time-stamping authorities (RFC 3161), separated by commas, asked in turn",
    ),
    Setting(
        "time_stamp_policy",
        "",
        "Chính sách (OID) mà dấu thời gian phải theo; để trống: chính sách của cơ quan",
        "Policy (OID) that time-stamps must follow; empty: the authority's own",
    ),
    Setting(
        "time_stamp_certificates",
        "",
        "Tệp PEM: chuỗi chứng thư của cơ quan cấp dấu được tin ngoài danh bạ",
        "PEM file: chain of an authority that is trusted beside those of the directory",
    ),
    Setting(
        "time_stamp_interval_seconds",
        60.0,
        "Khoảng cách giữa hai lần đóng dấu thời gian lên đầu sổ",
        "Time between two time-stamps on the ledger's head",
    ),
    Setting(
        "time_stamp_alarm_seconds",
        600.0,
        "Bản ghi chờ dấu thời gian lâu hơn mức này thì báo động",
        "An alarm is raised when records have waited longer than this for a time-stamp",
    ),
    Setting(
        "witnesses",
        "",
        "Các nút làm chứng cho sổ, cách nhau bằng dấu phẩy; để trống: chọn trong các nút đã gặp",
        "Nodes that witness the ledger, separated by commas; empty: some of those it talks with",
    ),
    Setting(
        "witness_interval_seconds",
        60.0,
        "Khoảng cách giữa hai vòng xin chữ ký làm chứng",
        "Time between two rounds of asking for witnesses' signatures",
    ),
    Setting(
        "error_spelling",
        "camel",
        "Cách viết mã lỗi X-Road: camel (đến 7.7) hoặc snake (từ 7.8)",
        "Spelling of X-Road error codes: camel (up to 7.7) or snake (since 7.8)",
    ),
    Setting(
        "maximum_connections",
        5000,
        "Số kết nối đồng thời tối đa mỗi cổng",
        "Most connections at a time on each port",
    ),
    Setting(
        "token_module",
        "",
        "Thư viện PKCS#11 (.so) của thiết bị giữ khóa, khi địa chỉ khóa không nêu module-path",
        "PKCS#11 library (.so) of the token with the keys, where a key's URI has no module-path",
    ),
    Setting(
        "token_pin_file",
        "",
        "Tệp chứa mã PIN của thiết bị giữ khóa, quyền 0600",
        "File with the token's PIN, of mode 0600",
    ),
    Setting(
        "token_pin",
        "",
        "Mã PIN của thiết bị giữ khóa; chỉ nên đặt qua biến môi trường, tốt hơn: token_pin_file",
        "The token's PIN; by the environment only, better: token_pin_file",
        secret=True,
    ),
    Setting(
        "log_level",
        "info",
        "Mức nhật ký: debug, info, warning hoặc error",
        "Level of the log: debug, info, warning or error",
    ),
    Setting(
        "log_file_bytes",
        134_217_728,
        "Dung lượng tối đa của nhật ký sự cố trong thư mục trạng thái, cho mỗi tiến trình; 0: tắt",
        "Most bytes of the incident log in the state folder, for each process; 0: off",
    ),
    Setting(
        "portal_listen",
        "127.0.0.1:8090",
        "Nơi cổng web lắng nghe",
        "Where the web portal listens",
    ),
    Setting(
        "portal_url",
        "",
        "Địa chỉ công khai của cổng web, ví dụ https://du-lieu.example.vn; https bật HSTS",
        "Public address of the web portal, such as https://data.example.vn; https turns HSTS on",
    ),
    Setting(
        "portal_certificate",
        "",
        "Tệp PEM chứng thư TLS của cổng web; để trống: máy chủ phía trước lo TLS",
        "PEM file with the portal's TLS certificate; empty: a server in front does TLS",
    ),
    Setting(
        "portal_key",
        "",
        "Tệp PEM khóa TLS của cổng web",
        "PEM file with the portal's TLS key",
    ),
    Setting(
        "catalogue_database",
        "",
        "Địa chỉ SQLAlchemy của cơ sở dữ liệu danh mục; để trống: SQLite trong thư mục của cổng",
        "SQLAlchemy address of the catalogue's database; empty: SQLite in the portal's folder",
        secret=True,
    ),
    Setting(
        "catalogue_public_url",
        "",
        "Địa chỉ công khai của danh mục chạy riêng, gốc của DCAT và CKAN; trống: nơi lắng nghe",
        "Public address of a catalogue by itself, root of DCAT and CKAN; empty: where it listens",
    ),
    Setting(
        "catalogue_publisher",
        "",
        "Tên cơ quan vận hành danh mục, ghi trong DCAT; để trống: tên máy chủ",
        "Name of the body that runs the catalogue, as DCAT tells it; empty: the host's name",
    ),
    Setting(
        "harvest_networks",
        "",
        "Mạng nội bộ được phép thu thập, ví dụ 10.0.0.0/8, cách nhau bằng dấu phẩy; trống: không",
        "Private networks that may be harvested, such as 10.0.0.0/8, by commas; empty: none",
    ),
    Setting(
        "harvest_every_seconds",
        86_400.0,
        "Cổng web và danh mục tự thu thập mỗi nguồn sau từng khoảng này; 0: chỉ bằng lệnh",
        "A portal or catalogue harvests each source at this interval by itself; 0: by command only",
    ),
    Setting(
        "harvest_limit_seconds",
        3600.0,
        "Thời gian tối đa để thu thập một nguồn",
        "Longest time that harvesting one source may take",
    ),
    Setting(
        "harvest_limit_records",
        200_000,
        "Số bản ghi tối đa nhận từ một nguồn",
        "Most records that are taken from one source",
    ),
    Setting(
        "portal_node_state",
        "",
        "Thư mục trạng thái của nút mà bàn làm việc của cổng web dùng; để trống: không có",
        "State folder of the node that the portal's console uses; empty: none",
    ),
    Setting(
        "oidc_issuer",
        "",
        "Địa chỉ nhà cung cấp OpenID Connect; để trống: chỉ có tài khoản riêng của cổng",
        "Issuer of OpenID Connect; empty: accounts of the portal's own only",
    ),
    Setting(
        "oidc_client_id",
        "",
        "Mã ứng dụng của cổng web tại nhà cung cấp OpenID Connect",
        "The portal's client id at the OpenID Connect provider",
    ),
    Setting(
        "oidc_client_secret",
        "",
        "Mật khẩu ứng dụng của cổng web tại nhà cung cấp OpenID Connect",
        "The portal's client secret at the OpenID Connect provider",
        secret=True,
    ),
    Setting(
        "oidc_name",
        "OpenID Connect",
        "Tên nhà cung cấp đăng nhập, hiện trên nút bấm",
        "Name of the sign-in provider, shown on the button",
    ),
)

_BY_NAME = {setting.name: setting for setting in TABLE}


@dataclass(frozen=True, slots=True)
class Settings:
    """Values of all settings; read them as attributes named as in ``TABLE``."""

    values: Mapping[str, Any]

    def __getattr__(self, name: str) -> Any:
        try:
            return self.values[name]
        except KeyError:
            raise AttributeError(name) from None


def load_settings(
    file: Path | None = None, environment: Mapping[str, str] | None = None
) -> Settings:
    """Read settings from ``environment`` and ``file`` over the defaults.

    Raises UnknownSetting, InvalidSetting, ConfigurationError (file unreadable).
    """
    values: dict[str, Any] = {setting.name: setting.default for setting in TABLE}
    if file is not None and file.exists():
        for name, value in _read_toml(file).items():
            values[name] = _checked(name, value, str(file))
    for variable, text in (environment or {}).items():
        if variable.startswith(ENVIRONMENT_PREFIX):
            name = variable.removeprefix(ENVIRONMENT_PREFIX).lower()
            values[name] = _checked(name, text, variable)
    return Settings(values)


def _read_toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(reason=f"{file}: {error}") from error


def _checked(name: str, value: Any, place: str) -> Any:
    if name not in _BY_NAME:
        raise UnknownSetting(name=name, place=place)
    kind = type(_BY_NAME[name].default)
    if isinstance(value, kind):
        return value
    try:
        if kind is bool:
            return {"true": True, "1": True, "false": False, "0": False}[str(value).lower()]
        return kind(value)
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidSetting(name=name, reason=f"{value!r} ({kind.__name__})") from error
