"""Exclusive XML Canonicalization 1.0 without comments (W3C, 18 July 2002): the bytes that are hashed and signed.

lxml does it for every PrefixList but one that names `#default`: it drops that token before libxml2 sees it (design
4.4), and WSS4J clients send it. For those lists alone the routine below does the same work in Python.
"""

from __future__ import annotations

import re
from typing import Final

from lxml import etree
from lxml.etree import _Element

from cbss_inscription import names

DEFAULT_NAMESPACE: Final = "#default"
_ABSOLUTE_URI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:")
_NAME_OF_ATTRIBUTE: Final = etree.XPath("name(@*[$position])", smart_strings=False)


class CanonicalizationError(Exception):
    """No canonical form exists or it could not be made; never to be read as an empty one (SEC-38)."""


class _Scope:
    """The namespace declarations in scope: what each prefix stands for, and which single prefix stands for a URI."""

    __slots__ = ("prefixes", "uris")

    def __init__(self, uris: dict[str | None, str]) -> None:
        self.uris: Final = uris
        self.prefixes: Final[dict[str, str | None]] = {}
        for prefix, uri in uris.items():
            if prefix is not None:
                self.prefixes[uri] = None if uri in self.prefixes else prefix


def canonical(element: _Element, prefixes: tuple[str, ...] = ()) -> bytes:
    """The canonical form of the element and all within, its tail apart.

    `prefixes` is the InclusiveNamespaces PrefixList. Raises CanonicalizationError, for a relative namespace URI among
    others.
    """
    try:
        if DEFAULT_NAMESPACE in prefixes:
            data = canonical_in_python(element, prefixes)
        else:
            data = etree.tostring(
                element, method="c14n", exclusive=True, with_comments=False, inclusive_ns_prefixes=list(prefixes)
            )
    except (etree.LxmlError, ValueError, RuntimeError) as error:
        raise CanonicalizationError from error
    if not data:  # CVE-2025-66568: another library's error became the digest of nothing
        raise CanonicalizationError
    return data


def canonical_in_python(apex: _Element, prefixes: tuple[str, ...]) -> bytes:
    """The same form by our own reading of the standard, `#default` included. Raises CanonicalizationError."""
    inclusive = {None if prefix == DEFAULT_NAMESPACE else prefix for prefix in prefixes}
    output: list[str] = []
    # One frame an open element: the declarations in scope, and those already written by it or its ancestors.
    scope = _Scope(dict(apex.nsmap))  # never with "xml": libxml2 keeps no declaration of it
    for uri in scope.uris.values():
        _refuse_relative(uri)
    frames: list[tuple[_Scope, dict[str | None, str]]] = [(scope, {})]
    declared: dict[str | None, str] = {}
    for event, item in etree.iterwalk(apex, events=("start", "end", "start-ns", "comment", "pi")):
        if isinstance(item, tuple):  # start-ns
            prefix, namespace = item
            _refuse_relative(namespace)
            declared[prefix or None] = namespace
            continue
        assert item is not None  # of other events than these
        if event == "pi":
            raise CanonicalizationError  # safe_xml lets no processing instruction through
        if event == "start":
            scope, written = frames[-1]
            if declared:
                scope = _Scope({**scope.uris, **declared})
                declared = {}
            written = _write_start(item, scope, written, inclusive, output)
            frames.append((scope, written))
        elif event == "end":
            frames.pop()
            output.append(f"</{_qualified(item)}>")
            if item is not apex:
                output.append(_escape_text(item.tail))
        else:  # a comment: only what follows it
            output.append(_escape_text(item.tail))
    return "".join(output).encode()


def _write_start(
    element: _Element,
    scope: _Scope,
    written: dict[str | None, str],
    inclusive: set[str | None],
    output: list[str],
) -> dict[str | None, str]:
    attributes: list[tuple[str, str, str, str]] = []  # namespace URI, local name (the order), then prefix, value
    used: set[str | None] = {element.prefix}
    for position, (name, value) in enumerate(element.attrib.items(), start=1):
        uri, _, local_name = name.removeprefix("{").rpartition("}")
        if not uri:
            prefix = ""
        elif uri == names.XML:
            prefix = "xml"
        else:
            prefix = _prefix_of_attribute(element, position, uri, scope)
            used.add(prefix)
        attributes.append((uri, local_name, prefix, value))
    declarations: list[tuple[str, str]] = []
    written_here = written
    for candidate in used | inclusive:
        # Nothing: no default namespace, to be said only where an ancestor wrote one; or a token that is no prefix here.
        uri_in_scope = scope.uris.get(candidate, "")
        if written_here.get(candidate, "") != uri_in_scope:
            if written_here is written:
                written_here = dict(written)
            written_here[candidate] = uri_in_scope
            declarations.append((candidate or "", uri_in_scope))
    output.append(f"<{_qualified(element)}")
    for prefix, uri in sorted(declarations):
        output.append(f' xmlns{":" if prefix else ""}{prefix}="{_escape_value(uri)}"')
    for _, local_name, prefix, value in sorted(attributes):
        output.append(f' {prefix}{":" if prefix else ""}{local_name}="{_escape_value(value)}"')
    output.append(">")
    output.append(_escape_text(element.text))
    return written_here


def _prefix_of_attribute(element: _Element, position: int, uri: str, scope: _Scope) -> str:
    prefix = scope.prefixes.get(uri)
    if prefix is None:
        # Two prefixes for one URI: lxml keeps the one that was written to itself, and only XPath tells.
        prefix, _, _ = str(_NAME_OF_ATTRIBUTE(element, position=position)).partition(":")
        if scope.uris.get(prefix) != uri:
            raise CanonicalizationError
    return prefix


def _qualified(element: _Element) -> str:
    local_name = str(element.tag).rpartition("}")[2]
    return f"{element.prefix}:{local_name}" if element.prefix else local_name


def _refuse_relative(uri: str) -> None:
    if uri and not _ABSOLUTE_URI.match(uri):
        raise CanonicalizationError


def _escape_text(text: str | None) -> str:
    if not text:
        return ""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\r", "&#xD;")


def _escape_value(value: str) -> str:
    return (
        value.replace("&", "&amp;")
        .replace("<", "&lt;")
        .replace('"', "&quot;")
        .replace("\t", "&#x9;")
        .replace("\n", "&#xA;")
        .replace("\r", "&#xD;")
    )
