"""Every command and every program in the pages is run, on small simulated stand-ins of the files that it names."""

import json
import re
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("docutils.core")

sys.path.insert(0, str(Path(__file__).parent))
from pages import PAGES, ROOT, blocks, commands, inline_commands, is_python, is_shell

from cryores.cli import COMMANDS, main
from cryores.cli.method_command import _parser
from cryores.cli.options import Parser, join_negative_numbers
from cryores.mapio import read_map, write_map
from cryores.method import load_method, method_summaries
from cryores.simulation import simulate
from cryores.volume import Grid, Volume

NOT_RUN = {
    r"(python -m )?pip |python -m venv|env/bin/": "installs, from a network",
    r"scipion3 install": "installs",
    r"scipion3 template": "run by tests/scipion",
    r"chimerax|firefox": "opens a window",
    r"python -m benchmarks": "minutes, and models or maps that are not in the repository",
    r"cryores (train|demo)": "minutes",
    r"cryores web": "serves until it is stopped",
    r"cryores weights (fetch|import)": "the authors' files, from a network or a disk",
    r"cryores deepres --map MAP": "MAP and RANGE stand for any",
    r"make": "is what runs the tests",
}
"""Commands that cannot be run here, and why. Those of cryores are parsed all the same."""

FAILS = {
    r"cryores .* --weights published": 5,
    r"cryores weights path": 5,
}
"""Commands whose exit status, where no weights are installed, is not 0."""

SMALLER = {"--size 112": "--size 48"}

SCIPION = "from pyworkflow"
"""Programs with these words need a Scipion: tests/docs/test_recipes.py."""

STAND_INS = {
    r"(half1|half2|mask)\.mrc": r"\1",
    r"(h1|half1_\w+)\.mrc": "half1",
    r"h2\.mrc|noisy\.mrc": "half2",
    r"(map|full|raw|sharp|sharpened|phenix|deepemhancer|tomogram)\.mrc|emd_\d+\.\w+": "map",
    r"(resolution|their_resmap|monotomo)\.mrc|monores_halves\.mrc\.gz": "resolution",
    r"(model|\d\w{3})\.cif|(model|refined)\.pdb": "model",
}
"""What takes the place of a file: pattern of its name -> stand-in."""

TABLES = {"name,map,before": "maps.csv"}
"""Blocks that are the content of a file: how they begin -> its name."""

PATHS = re.compile(r"[\w./-]+\.(?:mrc(?:\.gz)?|map|ccp4|cif|pdb)\b")


@pytest.fixture(scope="module")
def stand_ins():
    made = simulate(shape=(48, 48, 48), voxel_size=1.0, finest=3.0, coarsest=8.0, seed=3)
    resolution = made.truth.like(np.where(made.mask.data > 0.5, made.truth.data, 0))
    maps = {"half1": made.halves.half1, "half2": made.halves.half2, "mask": made.mask, "map": made.halves.mean()}
    return {**maps, "resolution": resolution, "model": made.structure}


@pytest.fixture()
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CRYORES_WEIGHTS", str(tmp_path / "no-weights"))
    return tmp_path


def provide(text, stand_ins):
    """Write a stand-in for every file that ``text`` names, is not there, and is not made by an earlier command."""
    for name in PATHS.findall(text):
        path = Path(name)
        found = [kind for pattern, kind in STAND_INS.items() if re.fullmatch(pattern, path.name)]
        if not found or path.is_absolute() or path.exists():
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        stand_in = stand_ins[re.sub(next(p for p in STAND_INS if re.fullmatch(p, path.name)), found[0], path.name)]
        if path.suffix == ".cif":
            stand_in.make_mmcif_document().write_file(name)
        elif path.suffix == ".pdb":
            stand_in.write_pdb(name)
        else:
            write_map(path, stand_in)


def parsed(words):
    """Parse the words of a command of cryores; an unknown word or option is an error."""
    name, rest = words[1], join_negative_numbers(words[2:])
    if name in COMMANDS:
        from importlib import import_module

        parser = Parser(prog=name)
        import_module(f"cryores.cli.{name}").add_arguments(parser)
    else:
        parser = _parser(load_method(name))
    return parser, rest


def expected_status(line):
    return next((status for pattern, status in FAILS.items() if re.match(pattern, line)), 0)


def run(words, stand_ins, capsys):
    line = " ".join(words)
    for long, short in SMALLER.items():
        line = line.replace(long, short)
    assert words[0] == "cryores", f"say in NOT_RUN why this is not run: {line}"
    provide(line, stand_ins)
    more = ["--overwrite"] if "--out" in words else []
    status = main([*line.split()[1:], *more])
    assert status == expected_status(line), f"{line}\n{capsys.readouterr().err[-2000:]}"


@pytest.mark.parametrize("page", PAGES)
def test_commands_of_a_page_run(page, folder, stand_ins, capsys):
    for block in blocks(page):
        for beginning, name in TABLES.items():
            if block.startswith(beginning):
                Path(name).write_text(block + "\n", encoding="utf-8")
                provide(block, stand_ins)
    for block in filter(is_shell, blocks(page)):
        for words in commands(block):
            if not any(re.match(pattern, " ".join(words)) for pattern in NOT_RUN):
                run(words, stand_ins, capsys)


@pytest.mark.parametrize("page", PAGES)
def test_commands_that_are_not_run_are_parsed(page):
    for words in (words for block in filter(is_shell, blocks(page)) for words in commands(block)):
        line = " ".join(words)
        if words[0] == "cryores" and "RANGE" not in line and words[1] in (*COMMANDS, *method_summaries()):
            parser, rest = parsed(words)
            parser.parse_args(rest)
        elif words[:2] == ["python", "-m"] and words[2].startswith("benchmarks"):
            source = Path(find_spec(words[2]).origin).read_text(encoding="utf-8")
            assert all(f'"{word}"' in source for word in words[3:] if word.startswith("--")), line
        elif words[0] == "make":
            targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M)
            assert {w for w in words[1:] if "=" not in w} <= set(targets), line
        else:
            assert any(re.match(pattern, line) for pattern in NOT_RUN), line


@pytest.mark.parametrize("page", PAGES)
def test_commands_in_sentences_have_names_and_options_that_exist(page):
    for words in inline_commands(page):
        if words[1] in ("METHOD", "NAME") or words[1].startswith("--"):
            continue
        assert words[1] in (*COMMANDS, *method_summaries()), " ".join(words)
        known = parsed(words[:2])[0]._option_string_actions
        assert {word.split("=")[0] for word in words[2:] if word.startswith("--")} <= set(known), " ".join(words)


@pytest.mark.parametrize("page", PAGES)
def test_programs_of_a_page_run(page, folder, stand_ins):
    known = dict.fromkeys(("data", "reference"), stand_ins["map"].data)
    names = {**known, "inside": stand_ins["mask"].data > 0.5}
    for block in filter(is_python, blocks(page)):
        if SCIPION in block:
            continue
        if "monores/report.json" in block:
            (folder / "monores").mkdir(exist_ok=True)
            report = {"summary": {"median": 4.0}, "criterion": "", "warnings": []}
            (folder / "monores/report.json").write_text(json.dumps(report))
        for half in ("half1", "half2"):  # named by a program that fills in the name
            provide(f"{half}.mrc halves/{half}.mrc", stand_ins)
        provide(block, stand_ins)
        exec(compile(block, page, "exec"), names)


def test_every_block_with_a_command_in_it_is_seen():
    for page in PAGES:
        for block in blocks(page):
            if re.search(r"^(cryores|python|make|scipion3?) ", block, re.M):
                assert is_shell(block), f"{page}: {block}"
