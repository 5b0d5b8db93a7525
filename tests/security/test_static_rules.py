"""What the source of the program may not do, whoever writes it (SEC-83): see static_rules.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.security.static_rules import forbidden

SOURCE = Path(__file__).parents[2] / "src" / "cbss_inscription"
PACKAGED = "reads the contract's own files, which come with the program"
ALLOWED = {
    ("safe_xml.py", "xml-parser", "lxml.etree.XMLParser"): "the one parser of what others send",
    ("safe_xml.py", "xml-parser", "lxml.etree.fromstring"): "the one parser of what others send",
    (
        "safe_xml.py",
        "xpath",
        "f\"boolean({'/*' * (depth + 1)})\"",
    ): "steps, as many as a limit says: no text of anybody's",
    ("contract/schema.py", "xml-parser", "lxml.etree.XMLParser"): PACKAGED,
    ("contract/schema.py", "xml-parser", "lxml.etree.fromstring"): PACKAGED,
    ("contract/schema.py", "xml-parser", "lxml.etree.XMLSchema"): PACKAGED,
    ("client/adjustment.py", "xml-parser", "lxml.etree.XMLSchema"): PACKAGED,
    ("soap/wsdl.py", "xml-parser", "lxml.etree.XMLParser"): PACKAGED,
    ("soap/wsdl.py", "xml-parser", "lxml.etree.fromstring"): PACKAGED,
    ("app/settings.py", "environment", "os.environ"): "the only reader of the environment for the servers",
    ("app/listener.py", "environment", "os.environ"): "tells its workers which settings file is theirs",
    ("app/serving.py", "environment", "os.environ"): "tells its processes where they count",
    ("app/metrics.py", "environment", "os.environ"): "learns that, and tells it to the library that counts",
    ("app/addresses.py", "tls", "ssl._create_unverified_context"): "asks our own listener only whether it answers",
    ("cli/commands.py", "eval", "importlib.import_module"): "the one command that is run, of those in its table",
    ("client/__init__.py", "eval", "importlib.import_module"): "names of the SDK that are imported when they are used",
    (
        "sandbox/population.py",
        "random",
        "random",
    ): "synthetic persons, the same for a seed: not to be guessed is no need",
    ("sandbox/inscriptions.py", "random", "random"): "synthetic inscriptions, the same for a seed",
    ("security/explain.py", "weak-digest", "cryptography.hazmat.primitives.hashes.SHA1"): "tells that a sender used it",
    ("storage/migration.py", "sql", "migration.sql"): "the numbered files that come with the program",
}
"""Every place where a rule is broken with a reason: file, rule, and the name or expression."""


def found_in(root: Path) -> set[tuple[str, str, str]]:
    """What is forbidden below a folder: file, rule, and the name or expression."""
    return {
        (str(file.relative_to(root)), found.rule, found.what)
        for file in root.rglob("*.py")
        for found in forbidden(file.read_text(encoding="utf-8"))
    }


def test_sec_83_the_source_does_what_is_forbidden_only_where_it_says_why() -> None:
    """No pickle, no eval, no second XML parser, no SQL or XPath put together, no unverified TLS … (SEC-83)."""
    found = found_in(SOURCE)
    assert found - ALLOWED.keys() == set()
    assert ALLOWED.keys() - found == set(), "what is not needed any more is taken away"


def test_sec_83_a_file_that_breaks_a_rule_is_found_wherever_it_is(tmp_path: Path) -> None:
    """A file in a new folder is read like every other (SEC-83)."""
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "thing.py").write_text("import pickle\n")
    assert found_in(tmp_path) == {("new/thing.py", "pickle", "pickle")}


LXML = "from lxml import etree\n"
BAD = {
    "environment": [
        "import os\nos.environ['X']",
        "import os as o\no.environ.get('X')",
        "from os import environ\nenviron['X']",
        "from os import getenv as read\nread('X')",
    ],
    "pickle": [
        "import pickle",
        "from pickle import loads",
        "import marshal as m",
        "def read():\n    import shelve",
        "import dbm.dumb",
    ],
    "eval": [
        "eval('1')",
        "run = exec",
        "compile('1', 'x', 'eval')",
        "__import__('pic' + 'kle')",
        "import builtins as b\nb.eval('1')",
        "from importlib import import_module as load\nload('pickle')",
    ],
    "yaml": [
        "import yaml\nyaml.load(text)",
        "import yaml as y\ny.load(text, Loader=y.Loader)",
        "from yaml import load, FullLoader as Safe\nload(text, Loader=Safe)",
        "import yaml\nyaml.unsafe_load(text)",
        "import yaml\nyaml.compose(text)",
        "import yaml\nyaml.load(text, Loader=SafeLoader if safe else other)",
    ],
    "xml-parser": [
        "import xml.etree.ElementTree as ET",
        "from xml.dom import minidom",
        "from lxml import objectify",
        "import lxml.html",
        "import lxml.etree\nlxml.etree.parse(file)",
        LXML + "etree.fromstring(data)",
        "from lxml.etree import fromstring as read\nread(data)",
        "from lxml import etree as e\nparse = e.XMLParser",
        LXML + "for _ in etree.iterparse(file): pass",
        LXML + "etree.XSLT(document)",
    ],
    "xpath": [
        LXML + "root.xpath(f'//x[@id={number}]')",
        LXML + "root.xpath('//x[@id=%s]' % number)",
        LXML + "root.xpath(path)",
        LXML + "etree.XPath('//x[@id=' + number + ']')",
        "from lxml.etree import XPath\nXPath('//{}'.format(name))",
        LXML + "root.find(f'{name}/child')",
        LXML + "root.findall('{%s}x' % namespace)",
        LXML + "root.find(path=f'{name}/child')",
        LXML + "root.iterfind('/'.join(names))",
    ],
    "sql": [
        "connection.execute(f'SELECT {name}')",
        "connection.execute('SELECT %s' % name)",
        "await_ = cursor.execute('SELECT ' + name)",
        "cursor.executemany('INSERT {}'.format(name), rows)",
        "cursor.copy(f'COPY {table} FROM STDIN')",
        "cursor.execute(query=f'SELECT {name}')",
        "def read(c, name):\n    text = 'SELECT '\n    text += name\n    c.execute(text)",
        "def read(c, text):\n    c.execute(text)",
        "def _read(c, text):\n    c.execute(text)\n_read(c, f'SELECT {name}')",
        "def read(c, yes):\n    text = 'SELECT 1'\n    if yes:\n        text = other()\n    c.execute(text)",
        "from psycopg import sql\nc.execute(sql.SQL(f'SELECT {name}'))",
        "from psycopg.sql import SQL\nc.execute(SQL(name).format(x))",
        "TABLE = other()\nc.execute(f'SELECT FROM {TABLE}')",
    ],
    "shell": [
        "import subprocess\nsubprocess.run(command, shell=True)",
        "from subprocess import Popen as P\nP(command, shell=yes)",
        "import os\nos.system(command)",
        "from os import popen\npopen(command)",
        "import asyncio\nasyncio.create_subprocess_shell(command)",
    ],
    "tls": [
        "import ssl\nssl._create_unverified_context()",
        "import ssl\ncontext.verify_mode = ssl.CERT_NONE",
        "from ssl import CERT_NONE as C\ncontext.verify_mode = C",
        "context.check_hostname = False",
        "import httpx\nhttpx.Client(verify=False)",
        "import httpx\nhttpx.get(url, verify=False)",
    ],
    "random": [
        "import random",
        "from random import choice",
        "import uuid\nuuid.uuid1()",
        "from tempfile import mktemp\nmktemp()",
    ],
    "weak-digest": [
        "import hashlib\nhashlib.md5(data)",
        "from hashlib import sha1 as digest\ndigest(data)",
        "import hashlib\nhashlib.new(name)",
        "from cryptography.hazmat.primitives import hashes\nhashes.SHA1()",
        "from cryptography.hazmat.primitives.hashes import MD5\nMD5()",
    ],
    "star": ["from lxml.etree import *"],
}


@pytest.mark.parametrize(("rule", "source"), [(rule, source) for rule, sources in BAD.items() for source in sources])
def test_sec_83_what_breaks_a_rule_is_found(rule: str, source: str) -> None:
    """Under its own name, another one, or put together before: each sample breaks its rule (SEC-83)."""
    assert rule in {found.rule for found in forbidden(source)}


@pytest.mark.parametrize(
    "source",
    [
        "import re\nre.compile('x')",
        "import yaml\nyaml.load(text, Loader=yaml.SafeLoader)",
        "import yaml\nyaml.compose(text, Loader=getattr(yaml, 'CSafeLoader', yaml.SafeLoader))",
        "from yaml import load, CSafeLoader\nload(text, Loader=CSafeLoader)",
        LXML + "etree.tostring(etree.Element('x'))",
        LXML + "etree.XPath('//x[@id=$id]')(root, id=number)",
        LXML + "from cbss_inscription import names\nroot.find(f'detail/{names.SYSTEM_ERROR}')",
        "text.find(mark)",
        "connection.execute(QUERIES['lock_person'], parameters)",
        "connection.execute('SELECT %s', (name,))",
        "from psycopg import sql\nc.execute(sql.SQL('CREATE DATABASE {}').format(sql.Identifier(name)))",
        "def _read(c, text):\n    c.execute(text)\n_read(c, QUERIES['one'])",
        "NAME: Final = 'register'\nc.execute(f'CREATE DATABASE {NAME}')",
        "import shutil\nshutil.copy(source, target)",
        "other = first.copy()",
        "import subprocess\nsubprocess.run(['x'], shell=False)",
        "import secrets\nsecrets.token_hex(16)",
        "import hashlib\nhashlib.sha256(data)",
        "import httpx\nhttpx.Client(verify=context)",
        "context.check_hostname = True",
    ],
)
def test_sec_83_what_is_right_is_let_alone(source: str) -> None:
    """Safe loaders, variables of XPath, named queries, composition, and SHA-256 break no rule (SEC-83)."""
    assert forbidden(source) == []
