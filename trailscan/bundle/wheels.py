"""What a machine with no network needs to run trailscan: its wheel, those of all it needs, their hashes, and a script.

The versions are those that run here; pip fetches the wheels, for this machine or another, and is the only one that uses the
network. Sources: PyPA, "Binary distribution format", "Dependency specifiers", "Platform compatibility tags".
"""

import base64
import hashlib
import io
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Collection, Iterable, Mapping
from email.parser import HeaderParser
from importlib import metadata

import msgspec

from trailscan.bundle.format import INSTALL, WHEELS
from trailscan.errors import TrailscanError
from trailscan.extras import EXTRAS

NAME = "trailscan"
_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_LOCK = os.path.join(os.path.dirname(_PACKAGE), "requirements.lock")  # in a checkout
_SYSTEMS = {"win": ("win32", "Windows", "nt"), "macosx": ("darwin", "Darwin", "posix")}
_LINUX = ("linux", "Linux", "posix")
_MANYLINUX = re.compile(r"manylinux(?:(1|2010|2014)|_2_(\d{1,3}))_(\w+)")
_GLIBC = {"1": 5, "2010": 12, "2014": 17}
OLDEST_GLIBC = 28  # 2.28: DuckDB has no wheels for older ones
_MACHINE = re.compile(r"(x86_64|amd64|aarch64|arm64|i686|armv7l|ppc64le|s390x|riscv64)$")
_PINNED = re.compile(r"^([A-Za-z0-9][\w.-]*)==([^\s;\\]+)((?:[^\n]*\\\n)*[^\n]*)", re.MULTILINE)
_HASH = re.compile(r"--hash=(sha256:[0-9a-f]{64})")
_SCRIPT = f"""#!/bin/sh
# Installs trailscan into the folder `venv` beside this file, with no network: sh install.sh [PYTHON]
set -eu
cd -- "$(dirname -- "$0")"
"${{1:-python3}}" -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check --no-index --find-links {WHEELS} --require-hashes \\
  -r {WHEELS}/requirements.txt
echo "installed: $PWD/venv/bin/trailscan"
"""


class Target(msgspec.Struct, frozen=True):
    """The machine to install on: platform tags as pip takes them, and a Python version; empty and None mean this one's."""

    platforms: tuple[str, ...] = ()
    python: str | None = None

    @property
    def tags(self) -> list[str]:
        """The platform tags for pip, which takes a manylinux tag for itself alone: those of older C libraries go with it."""
        return [tag for platform in self.platforms for tag in _expanded(platform)]

    @property
    def too_old(self) -> bool:
        """Whether what was asked for is older than anything that DuckDB runs on, so that newer wheels were taken."""
        return any(glibc < OLDEST_GLIBC for platform in self.platforms if (glibc := _glibc_of(platform)) is not None)


class Pin(msgspec.Struct, frozen=True):
    """One package: its name in normal form, and `==version`, or what else is known of its version."""

    name: str
    version: str

    def __str__(self) -> str:
        return f"{self.name}{self.version}"


def wheelhouse(target: Target) -> dict[str, bytes]:
    """The members to add to a bundle, by name. Raises TrailscanError when a wheel cannot be had."""
    wheels = _fetched(target)
    name, own = own_wheel()
    wheels[name] = own
    hashes = "".join(sorted(_requirement(name, wheel) for name, wheel in wheels.items()))
    texts = {f"{WHEELS}/requirements.txt": hashes.encode(), INSTALL: _SCRIPT.encode()}
    return {f"{WHEELS}/{name}": wheel for name, wheel in wheels.items()} | texts


def needed(
    requirements: Iterable[str], environment: Mapping[str, str], known: dict[str, Pin], extras: Collection[str] = ()
) -> list[Pin]:
    """What these requirements come to on a machine of that environment, less what is known; adds it to `known`.

    Requirements of extras count for those that are given. Follows the packages that are installed here; of one that is not,
    only what is asked of its version is known.
    """
    from packaging.requirements import Requirement

    found: list[Pin] = []
    for text in requirements:
        wanted = Requirement(text)
        name = _normal(wanted.name)
        environments = [{**environment, "extra": extra} for extra in extras or ("",)]
        if (wanted.marker is not None and not any(map(wanted.marker.evaluate, environments))) or name in known:
            continue
        try:
            version, its_own = f"=={metadata.version(name)}", metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            version, its_own = str(wanted.specifier), []
        known[name] = Pin(name, version)
        found += [known[name], *needed(its_own, environment, known, wanted.extras)]
    return found


def environment_of(target: Target) -> dict[str, str]:
    """The values that requirements' markers are judged by, on the target."""
    from packaging.markers import default_environment

    values = {name: str(value) for name, value in default_environment().items()} | {"extra": ""}
    if target.python:
        version = ".".join(target.python.split(".")[:2])
        values |= {"python_version": version, "python_full_version": _full(target.python)}
        values |= {"implementation_version": _full(target.python)}
    if target.platforms:
        platform = target.platforms[0]
        system = next((system for prefix, system in _SYSTEMS.items() if platform.startswith(prefix)), _LINUX)
        values |= dict(zip(("sys_platform", "platform_system", "os_name"), system, strict=True))
        if machine := _MACHINE.search(platform):
            values["platform_machine"] = machine[1].upper() if machine[1] == "amd64" else machine[1]
    return values


def locked(text: str) -> dict[Pin, list[str]]:
    """The hashes that a lock file allows of each of its packages."""
    return {Pin(_normal(match[1]), f"=={match[2]}"): _HASH.findall(match[3]) for match in _PINNED.finditer(text)}


def own_wheel() -> tuple[str, bytes]:
    """A wheel of the trailscan that runs, from its installed files, and its name; the same files make the same wheel."""
    installed = metadata.distribution(NAME)
    folder = f"{NAME}-{installed.version}.dist-info"
    files = {f"{NAME}/{name}": data for name, data in _package_files()}
    files[f"{folder}/METADATA"] = (installed.read_text("METADATA") or "").encode()
    files[f"{folder}/WHEEL"] = b"Wheel-Version: 1.0\nGenerator: trailscan\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    files[f"{folder}/entry_points.txt"] = (installed.read_text("entry_points.txt") or "").encode()
    if licence := installed.read_text("licenses/LICENSE"):
        files[f"{folder}/licenses/LICENSE"] = licence.encode()
    files[f"{folder}/RECORD"] = _record(files, f"{folder}/RECORD")
    return f"{NAME}-{installed.version}-py3-none-any.whl", _zipped(files)


def _fetched(target: Target) -> dict[str, bytes]:
    """The wheels of all that trailscan needs, by file name."""
    environment = environment_of(target)
    known: dict[str, Pin] = {NAME: Pin(NAME, "")}
    pins = needed(metadata.requires(NAME) or [], environment, known, EXTRAS)
    wheels: dict[str, bytes] = {}
    while pins:
        fresh = _download(pins, target)
        wheels |= fresh
        unfollowed = {pin.name for pin in pins if not pin.version.startswith("==")}
        wanted = [
            text for name, wheel in fresh.items() if _normal(name.split("-")[0]) in unfollowed for text in _requires(wheel)
        ]
        pins = needed(wanted, environment, known)
    return wheels


def _download(pins: list[Pin], target: Target) -> dict[str, bytes]:
    with tempfile.TemporaryDirectory(prefix="trailscan-wheels-") as folder:
        asked = os.path.join(folder, "asked.txt")
        lines = _with_hashes(pins)
        with open(asked, "w", encoding="utf-8") as file:
            file.write("".join(lines or [f"{pin}\n" for pin in pins]))
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        command += ["--only-binary=:all:", "--dest", folder, "--requirement", asked]
        command += ["--require-hashes"] if lines else []
        command += [word for platform in target.tags for word in ("--platform", platform)]
        command += ["--python-version", target.python] if target.python else []
        done = subprocess.run(command, capture_output=True, text=True, errors="backslashreplace", check=False)
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or ["pip says nothing"])[-1]
            raise TrailscanError(
                f"the wheels cannot be fetched: {reason}",
                "see that `python -m pip download` works here, or pack without --with-wheels",
            )
        return {name: _read(os.path.join(folder, name)) for name in sorted(os.listdir(folder)) if name.endswith(".whl")}


def _with_hashes(pins: list[Pin]) -> list[str]:
    """The pins with the hashes of the project's lock, none when it is not there or does not know each of them."""
    if not os.path.exists(_LOCK):
        return []
    allowed = locked(_read(_LOCK).decode())
    if not all(allowed.get(pin) for pin in pins):
        return []
    return [f"{pin} {' '.join(f'--hash={each}' for each in allowed[pin])}\n" for pin in pins]


def _requires(wheel: bytes) -> list[str]:
    with zipfile.ZipFile(io.BytesIO(wheel)) as packed:
        name = next(name for name in packed.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", name))
        return HeaderParser().parsestr(packed.read(name).decode()).get_all("Requires-Dist") or []


def _requirement(name: str, wheel: bytes) -> str:
    package, version = name.split("-")[:2]
    return f"{_normal(package)}=={version} --hash=sha256:{hashlib.sha256(wheel).hexdigest()}\n"


def _package_files() -> Iterable[tuple[str, bytes]]:
    for folder, folders, names in os.walk(_PACKAGE, followlinks=True):  # the documents, in a checkout
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        for name in sorted(names):
            path = os.path.join(folder, name)
            yield os.path.relpath(path, _PACKAGE).replace(os.sep, "/"), _read(path)


def _record(files: Mapping[str, bytes], own_name: str) -> bytes:
    lines = []
    for name, data in sorted(files.items()):
        mark = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
        lines.append(f"{name},sha256={mark},{len(data)}\n")
    return "".join([*lines, f"{own_name},,\n"]).encode()


def _zipped(files: Mapping[str, bytes]) -> bytes:
    """A zip without compression, whose bytes no version of zlib changes."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for name, data in sorted(files.items()):
            member = zipfile.ZipInfo(name)
            member.create_system, member.external_attr = 3, 0o100644 << 16
            archive.writestr(member, data)
    return packed.getvalue()


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _glibc_of(platform: str) -> int | None:
    match = _MANYLINUX.fullmatch(platform)
    return None if match is None else _GLIBC.get(match[1]) or int(match[2])


def _expanded(platform: str) -> list[str]:
    match, glibc = _MANYLINUX.fullmatch(platform), _glibc_of(platform)
    if match is None or glibc is None:
        return [platform]
    newest = max(glibc, OLDEST_GLIBC)
    numbered = [f"manylinux_2_{minor}_{match[3]}" for minor in range(newest, min(_GLIBC.values()) - 1, -1)]
    return [*numbered, *(f"manylinux{name}_{match[3]}" for name in reversed(_GLIBC))]


def _full(version: str) -> str:
    return version if version.count(".") > 1 else f"{version}.0"
