"""Take the files that the web pages are served with out of locked packages.

    python -m tools.assets          into src/lienthong/portal/static/vendor, which git ignores

htmx comes from `django-htmx`, the typeface from `fontpkg-be-vietnam-pro`; both are downloaded
as they are locked in `requirements-assets.txt` and nothing of them is imported. Fonts are cut
down to the characters that Vietnamese and English pages use, in WOFF2; one also stays TrueType,
by which charts are measured on the server.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from fontTools.subset import main as subset_font

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements-assets.txt"
VENDOR = ROOT / "src" / "lienthong" / "portal" / "static" / "vendor"

# Latin with all Vietnamese letters (also as combining marks), punctuation, đồng, arrows, ticks.
CHARACTERS = (
    "U+0020-007E,U+00A0-00FF,U+0102-0103,U+0110-0111,U+0128-0129,U+0168-0169,U+01A0-01B0,"
    "U+0300-0304,U+0306,U+0309,U+031B,U+0323,U+1EA0-1EF9,U+2010-2027,U+2030,U+2032-2033,"
    "U+203A,U+20AB,U+2190-2193,U+2212,U+2260,U+2264-2265,U+2713,U+2717"
)
COPIED = {
    "django_htmx/static/django_htmx/htmx-2.min.js": "htmx.js",
}
CHART_WEIGHT, CHART_FONT = "Regular", "be-vietnam-pro-regular.ttf"  # to measure labels by
WEIGHTS = ("Regular", "SemiBold", "ExtraBold")


def main() -> int:
    """Run the command line."""
    VENDOR.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        _download(folder)
        for wheel in sorted(folder.glob("*.whl")):
            with zipfile.ZipFile(wheel) as archive:
                _copy_scripts(archive)
                _cut_fonts(archive, folder)
    missing = [name for name in wanted() if not (VENDOR / name).exists()]
    if missing:
        print(f"not in the packages of {LOCK.name}: {', '.join(missing)}", file=sys.stderr)
    return 1 if missing else 0


def wanted() -> list[str]:
    """Names of all files that the pages need."""
    return [
        *COPIED.values(),
        CHART_FONT,
        *(f"be-vietnam-pro-{weight.lower()}.woff2" for weight in WEIGHTS),
    ]


def _download(folder: Path) -> None:
    arguments = ("--require-hashes", "--no-deps", "--only-binary", ":all:", "--quiet")
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "--disable-pip-version-check", "download"),
            *(*arguments, "--dest", str(folder), "--requirement", str(LOCK)),
        ],
        check=True,
    )


def _copy_scripts(archive: zipfile.ZipFile) -> None:
    for inside, name in COPIED.items():
        if inside in archive.namelist():
            (VENDOR / name).write_bytes(archive.read(inside))


def _cut_fonts(archive: zipfile.ZipFile, folder: Path) -> None:
    for weight in WEIGHTS:
        inside = f"fontpkg_be_vietnam_pro/files/BeVietnamPro-{weight}.ttf"
        if inside not in archive.namelist():
            continue
        whole = folder / f"{weight}.ttf"
        whole.write_bytes(archive.read(inside))
        if weight == CHART_WEIGHT:
            subset_font(
                [str(whole), f"--unicodes={CHARACTERS}", f"--output-file={VENDOR}/{CHART_FONT}"]
            )
        subset_font(
            [
                *(str(whole), f"--unicodes={CHARACTERS}", "--flavor=woff2"),
                *(
                    "--layout-features=*",
                    f"--output-file={VENDOR}/be-vietnam-pro-{weight.lower()}.woff2",
                ),
            ]
        )


if __name__ == "__main__":
    sys.exit(main())
