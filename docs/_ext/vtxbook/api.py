# SPDX-License-Identifier: GPL-2.0-only
"""`.. api:: vmx vmx/result.hpp` what one header declares, by Breathe, from Doxygen's XML.

`.. step-api:: 04` the same for all headers that a step wrote or changed, in a namespace of its own,
so that the same name may be documented for two steps.
"""
from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from functools import lru_cache
from pathlib import Path

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from . import filled, paths, stepdiff

log = logging.getLogger(__name__)


def project_xml(project: str) -> Path:
    """The folder of a project's XML."""
    return paths.BUILD / "xml" / project


@lru_cache
def _index(project: str) -> ElementTree.ElementTree:
    """Doxygen's list of everything in a project; read once a build."""
    return ElementTree.parse(project_xml(project) / "index.xml")


@lru_cache
def _files(project: str) -> dict[str, ElementTree.Element]:
    """Doxygen's description of each file, by its path; read once a build."""
    found = {}
    for compound in _index(project).iterfind("compound[@kind='file']"):
        file = ElementTree.parse(project_xml(project) / f"{compound.get('refid')}.xml")
        definition = file.find("compounddef")
        location = definition.find("location") if definition is not None else None
        if definition is not None and location is not None:
            found[location.get("file", "")] = definition
    return found


def header_compound(project: str, header: str) -> ElementTree.Element | None:
    """Doxygen's description of one file, by the end of its path."""
    return next((d for path, d in _files(project).items() if path.endswith(header)), None)


class Declared:
    """Collects directives for what a header declares, in the order of its lines."""

    def __init__(self, project: str, header: str) -> None:
        self.project = project
        self.header = header
        self.rows: list[tuple[int, list[str]]] = []

    def collect(self) -> list[str]:
        """All lines of reStructuredText."""
        file = header_compound(self.project, self.header)
        if file is None:
            log.warning("Doxygen knows no file %s in project %s", self.header, self.project)
            return []
        for inner in file.iterfind("innerclass"):
            self._class(inner)
        for member in file.iterfind("sectiondef/memberdef"):
            self._member(member)
        for inner in file.iterfind("innernamespace"):
            self._namespace(inner)
        concepts = self._concepts()
        self.rows.sort(key=lambda row: row[0])
        return concepts + [line for _, lines in self.rows for line in lines]

    def _namespace(self, inner: ElementTree.Element) -> None:
        tree = ElementTree.parse(project_xml(self.project) / f"{inner.get('refid')}.xml")
        for member in tree.iterfind("compounddef/sectiondef/memberdef"):
            location = member.find("location")
            if location is not None and location.get("file", "").endswith(self.header):
                self._member(member)

    def _class(self, inner: ElementTree.Element) -> None:
        tree = ElementTree.parse(project_xml(self.project) / f"{inner.get('refid')}.xml")
        definition = tree.find("compounddef")
        name = inner.text or ""
        if definition is None or inner.get("prot") == "private" or self._is_nested(tree, name):
            return
        if not _described(definition):
            return
        kind = "struct" if definition.get("kind") == "struct" else "class"
        self._add(definition, f".. doxygen{kind}:: {name}", ["   :members:"])

    def _is_nested(self, tree: ElementTree.ElementTree, name: str) -> bool:
        outer = name.rsplit("::", 1)[0]
        return (project_xml(self.project) / f"struct{_mangled(outer)}.xml").exists() or \
            (project_xml(self.project) / f"class{_mangled(outer)}.xml").exists()

    def _member(self, member: ElementTree.Element) -> None:
        kind = member.get("kind")
        name = member.findtext("qualifiedname") or member.findtext("name") or ""
        if not _described(member):
            return
        if kind == "function":
            signature = _signature(member) if self._is_overloaded(name) else ""
            self._add(member, f".. doxygenfunction:: {name}{signature}", [])
        elif kind == "variable" and "::" not in name and self._is_member_too(name):
            return  # Breathe would show the member in the variable's place
        elif kind in ("enum", "typedef", "variable", "define"):
            self._add(member, f".. doxygen{kind}:: {name}", [])
        else:
            log.warning("%s of %s is of a kind that no page shows: %s", name, self.header, kind)

    def _is_member_too(self, name: str) -> bool:
        """True if a class of the project has a member of this name."""
        classes = [c for c in _index(self.project).iterfind("compound")
                   if c.get("kind") in ("struct", "class")]
        return any(m.findtext("name") == name for c in classes for m in c.iterfind("member"))

    def _is_overloaded(self, name: str) -> bool:
        """True if the project has another function of this name: then Breathe wants parameters."""
        index = _index(self.project)
        short = name.rsplit("::", 1)[-1]
        found = [m for m in index.iterfind("compound/member[@kind='function']")
                 if m.findtext("name") == short]
        return len({m.get("refid") for m in found}) > 1

    def _concepts(self) -> list[str]:
        """Doxygen 1.9.4 lists concepts in its index only."""
        index = _index(self.project)
        lines: list[str] = []
        for compound in index.iterfind("compound[@kind='concept']"):
            tree = ElementTree.parse(project_xml(self.project) / f"{compound.get('refid')}.xml")
            location = tree.find("compounddef/location")
            if location is not None and location.get("file", "").endswith(self.header):
                lines += [f".. doxygenconcept:: {compound.findtext('name')}",
                          f"   :project: {self.project}", ""]
        return lines

    def _add(self, element: ElementTree.Element, directive: str, options: list[str]) -> None:
        location = element.find("location")
        line = int(location.get("line", "0")) if location is not None else 0
        self.rows.append((line, [directive, f"   :project: {self.project}", *options, ""]))


def _mangled(name: str) -> str:
    """Doxygen's file name for a qualified name."""
    return name.replace("_", "__").replace("::", "_1_1")


def _described(element: ElementTree.Element) -> bool:
    """True if a comment describes the element; its definition elsewhere may have none."""
    return any("".join(e.itertext()).strip() for name in ("briefdescription", "detaileddescription")
               if (e := element.find(name)) is not None)


def _signature(member: ElementTree.Element) -> str:
    """The parameters as Breathe wants them to choose among overloads."""
    types = []
    for parameter in member.iterfind("param"):
        text = "".join(parameter.find("type").itertext())  # type: ignore[union-attr]
        array = parameter.findtext("array") or ""
        if array.startswith(")"):  # a pointer to a function: type is "void(*", array is ")(…)"
            text += array
        types.append(text)
    const = " const" if member.get("const") == "yes" else ""
    return f"({', '.join(types)}){const}"


class Api(SphinxDirective):
    """The directive for one header."""

    required_arguments = 2

    def run(self) -> list[nodes.Node]:
        project, header = self.arguments
        self.env.note_dependency(str(project_xml(project) / "stamp"))
        return parse(self, Declared(project, header).collect())


class StepApi(SphinxDirective):
    """The directive for one step."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        self.env.note_dependency(str(project_xml(f"step{self.arguments[0]}") / "stamp"))
        number = self.arguments[0]
        project = f"step{number}"
        text = [f".. cpp:namespace-push:: {project}", ""]
        for file in stepdiff.own_files(paths.step(number)):
            if file.suffix not in (".h", ".hpp"):
                continue
            lines = Declared(project, "/" + file.name).collect()
            if lines:
                text += [f".. rubric:: {file.name}", "", *lines]
        return parse(self, text + [".. cpp:namespace-pop::", ""])


def parse(directive: SphinxDirective, lines: list[str]) -> list[nodes.Node]:
    """Parses generated reStructuredText."""
    node = nodes.container()
    source, line = directive.get_source_info()
    content = StringList([], items=[])
    for text in lines:
        content.append(text, f"{source} (generated)", line)
    directive.state.nested_parse(content, 0, node)
    return node.children


def setup(app: Sphinx) -> None:
    """Registers the directives."""
    filled.add_directive(app, "api", Api)
    filled.add_directive(app, "step-api", StepApi)
