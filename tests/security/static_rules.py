"""What the program's source may not do (SEC-83): found in its syntax tree, names followed through their imports."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

FORBIDDEN_MODULES: Final = {
    **dict.fromkeys(("pickle", "marshal", "shelve", "dbm", "dill", "cloudpickle", "jsonpickle"), "pickle"),
    **dict.fromkeys(("xml", "xmlrpc", "lxml.html", "lxml.objectify", "lxml.sax", "defusedxml", "bs4"), "xml-parser"),
    **dict.fromkeys(("random", "numpy"), "random"),
}
"""Modules by the rule that forbids them, with whatever is in them."""

FORBIDDEN_NAMES: Final = {
    **dict.fromkeys(("eval", "exec", "compile", "__import__", "builtins.eval", "builtins.exec"), "eval"),
    "importlib.import_module": "eval",
    **dict.fromkeys(
        (
            "yaml.Loader", "yaml.UnsafeLoader", "yaml.FullLoader", "yaml.CLoader", "yaml.CUnsafeLoader",
            "yaml.CFullLoader", "yaml.unsafe_load", "yaml.unsafe_load_all", "yaml.full_load", "yaml.full_load_all",
        ),
        "yaml",
    ),
    **dict.fromkeys(
        (
            f"lxml.etree.{name}"
            for name in (
                "XMLParser", "XMLPullParser", "ETCompatXMLParser", "HTMLParser", "HTMLPullParser", "fromstring",
                "fromstringlist", "XML", "XMLID", "XMLDTDID", "HTML", "parse", "parseid", "iterparse", "XSLT",
                "set_default_parser", "XInclude", "DTD", "RelaxNG", "Schematron", "XMLSchema",
            )
        ),
        "xml-parser",
    ),
    **dict.fromkeys(
        (
            "os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput",
            "asyncio.create_subprocess_shell", "commands.getoutput", "pty.spawn",
        ),
        "shell",
    ),
    **dict.fromkeys(
        ("ssl._create_unverified_context", "ssl._create_stdlib_context", "ssl.CERT_NONE", "ssl.CERT_OPTIONAL",
         "ssl.VerifyMode.CERT_NONE"),
        "tls",
    ),
    **dict.fromkeys(("uuid.uuid1", "uuid.getnode", "uuid.uuid3"), "random"),
    "tempfile.mktemp": "random",
    **dict.fromkeys(("os.environ", "os.environb", "os.getenv", "os.getenvb"), "environment"),
    **dict.fromkeys(
        (
            "hashlib.md5", "hashlib.sha1", "hashlib.new", "_hashlib.openssl_md5", "_hashlib.openssl_sha1",
            "cryptography.hazmat.primitives.hashes.MD5", "cryptography.hazmat.primitives.hashes.SHA1",
        ),
        "weak-digest",
    ),
}  # fmt: skip
"""Names, as they are called where they come from, by the rule that forbids them."""

YAML_LOADS: Final = frozenset(
    f"yaml.{name}" for name in ("load", "load_all", "compose", "compose_all", "parse", "scan")
)
YAML_SAFE: Final = frozenset({"SafeLoader", "CSafeLoader"})
SQL_METHODS: Final = frozenset({"execute", "executemany", "copy", "stream"})
XPATH_METHODS: Final = frozenset({"xpath", "find", "findall", "findtext", "iterfind"})
XPATH_NAMES: Final = frozenset(
    f"lxml.etree.{name}" for name in ("XPath", "ETXPath", "XPathEvaluator", "XPathElementEvaluator")
)
SQL_NAMES: Final = frozenset({"psycopg.sql.SQL"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A place that a rule forbids: the rule, the name or the expression, and the line."""

    rule: str
    what: str
    line: int


def forbidden(source: str) -> list[Found]:
    """Every place in the source that a rule forbids, in the order of lines."""
    tree = ast.parse(source)
    return sorted(_Reader(tree).found(), key=lambda found: found.line)


class _Reader:
    """One source file: what its names stand for, and which of its names never change."""

    def __init__(self, tree: ast.Module) -> None:
        self._tree = tree
        self._origins: dict[str, str] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    bound = alias.asname or alias.name.partition(".")[0]
                    self._origins[bound] = alias.name if alias.asname else bound
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                for alias in node.names:
                    self._origins[alias.asname or alias.name] = f"{node.module}.{alias.name}"
        self._functions = {
            child: function
            for function in ast.walk(tree)
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
            for child in ast.walk(function)
        }

    def found(self) -> Iterator[Found]:
        for node in ast.walk(self._tree):
            for rule, what in self._judged(node):
                yield Found(rule=rule, what=what, line=getattr(node, "lineno", 0))

    def _judged(self, node: ast.AST) -> Iterator[tuple[str, str]]:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from self._imports(node)
        elif isinstance(node, ast.Attribute | ast.Name) and isinstance(node.ctx, ast.Load):
            name = self._origin(node)
            if name in FORBIDDEN_NAMES:
                yield FORBIDDEN_NAMES[name], name
        elif isinstance(node, ast.Assign) and any(_ends_with(target, "check_hostname") for target in node.targets):
            if not _is(node.value, True):
                yield "tls", "check_hostname"
        elif isinstance(node, ast.Call):
            yield from self._calls(node)

    def _imports(self, node: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, str]]:
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            names = [f"{node.module}.{alias.name}" for alias in node.names if node.level == 0]
        for name in names:
            for module, rule in FORBIDDEN_MODULES.items():
                if name == module or name.startswith(f"{module}."):
                    yield rule, module
            if name.endswith(".*"):
                yield "star", name

    def _calls(self, call: ast.Call) -> Iterator[tuple[str, str]]:
        name = self._origin(call.func)
        method = call.func.attr if isinstance(call.func, ast.Attribute) else ""
        said = {keyword.arg: keyword.value for keyword in call.keywords}
        if "shell" in said and not _is(said["shell"], False):
            yield "shell", "shell="
        if "verify" in said and _is(said["verify"], False):
            yield "tls", "verify=False"
        if name in YAML_LOADS and not self._is_safe_loader(said.get("Loader")):
            yield "yaml", name
        text = call.args[0] if call.args else said.get("query", said.get("_path", said.get("path")))
        if text is None:
            return
        # A module's function of the same name is another thing: shutil.copy.
        is_method = method != "" and name.partition(".")[0] not in self._origins.values()
        if name in SQL_NAMES or (method in SQL_METHODS and is_method):
            if not self._is_sql(text, call):
                yield "sql", ast.unparse(text)
        elif name in XPATH_NAMES or method == "xpath":
            if not self._is_constant(text):
                yield "xpath", ast.unparse(text)
        elif method in XPATH_METHODS and is_method and _is_put_together(text) and not self._is_constant(text):
            yield "xpath", ast.unparse(text)

    def _origin(self, node: ast.AST) -> str:
        """The dotted name, with what was imported under another name as it is called at home; else an empty string."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return ""
        return ".".join([self._origins.get(node.id, node.id), *reversed(parts)])

    def _is_safe_loader(self, loader: ast.expr | None) -> bool:
        if loader is None:
            return False
        named = [node.attr for node in ast.walk(loader) if isinstance(node, ast.Attribute)]
        named += [str(node.value) for node in ast.walk(loader) if isinstance(node, ast.Constant)]
        named += [self._origin(node).rpartition(".")[2] for node in ast.walk(loader) if isinstance(node, ast.Name)]
        return bool(YAML_SAFE & set(named)) and set(named) <= YAML_SAFE | {"yaml", "getattr"}

    def _is_sql(self, text: ast.expr, call: ast.AST) -> bool:
        """Whether it is a named query, a literal, psycopg's own composition, or a name that only stands for these."""
        if isinstance(text, ast.Subscript) and _ends_with(text.value, "QUERIES"):
            return True
        if self._is_constant(text):
            return True
        if isinstance(text, ast.Call) and isinstance(text.func, ast.Attribute) and text.func.attr in {"format", "join"}:
            inner = text.func.value  # its own argument is judged where it stands
            return isinstance(inner, ast.Call) and self._origin(inner.func) in SQL_NAMES
        if isinstance(text, ast.Call):
            return self._origin(text.func) in SQL_NAMES
        if isinstance(text, ast.Name):
            given = list(self._given_to(text.id, self._functions.get(call, self._tree)))
            return given != [] and all(self._is_sql(value, at) for value, at in given)
        return False

    def _given_to(self, name: str, scope: ast.AST) -> Iterator[tuple[ast.expr, ast.AST]]:
        """What the name may stand for in a function, each with the place where that is said."""
        for node in ast.walk(scope):
            if isinstance(node, ast.Assign) and any(isinstance(to, ast.Name) and to.id == name for to in node.targets):
                yield node.value, node
            elif isinstance(node, ast.AugAssign | ast.AnnAssign | ast.NamedExpr) and _ends_with(node.target, name):
                yield node.value or node.target, node
            elif isinstance(node, ast.For) and isinstance(node.iter, ast.Tuple) and isinstance(node.target, ast.Tuple):
                for place, to in enumerate(node.target.elts):
                    if isinstance(to, ast.Name) and to.id == name:
                        yield from ((row.elts[place], node) for row in node.iter.elts if isinstance(row, ast.Tuple))
        if isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef):
            names = [parameter.arg for parameter in (*scope.args.posonlyargs, *scope.args.args)]
            # Of a private function every call is in this file.
            if name in names and scope.name.startswith("_"):
                place = names.index(name) - (names[0] == "self")
                calls = (node for node in ast.walk(self._tree) if isinstance(node, ast.Call))
                for call in (call for call in calls if _ends_with(call.func, scope.name)):
                    by_name = (keyword.value for keyword in call.keywords if keyword.arg == name)
                    yield (call.args[place] if len(call.args) > place else next(by_name, call)), call

    def _is_constant(self, text: ast.expr) -> bool:
        """Whether it is a literal, a constant by its name, or put together of such."""
        if isinstance(text, ast.Constant):
            return True
        if isinstance(text, ast.JoinedStr):
            return all(self._is_constant(part) for part in text.values)
        if isinstance(text, ast.FormattedValue):
            return self._is_constant(text.value)
        if isinstance(text, ast.BinOp) and isinstance(text.op, ast.Add):
            return self._is_constant(text.left) and self._is_constant(text.right)
        if isinstance(text, ast.Name):
            return text.id.isupper() and (text.id in self._origins or self._is_defined(text.id))
        return isinstance(text, ast.Attribute) and text.attr.isupper() and self._origin(text.value) != ""

    def _is_defined(self, name: str) -> bool:
        """Whether the module defines it, once and for all."""
        return any(
            isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id == name
            and "Final" in ast.unparse(node.annotation)
            for node in self._tree.body
        )  # fmt: skip


def _ends_with(node: ast.AST, name: str) -> bool:
    return (isinstance(node, ast.Attribute) and node.attr == name) or (isinstance(node, ast.Name) and node.id == name)


def _is(node: ast.expr, value: object) -> bool:
    return isinstance(node, ast.Constant) and node.value is value


def _is_put_together(text: ast.expr) -> bool:
    if isinstance(text, ast.Call):
        return isinstance(text.func, ast.Attribute) and text.func.attr in {"format", "join"}
    return isinstance(text, ast.JoinedStr | ast.BinOp)
