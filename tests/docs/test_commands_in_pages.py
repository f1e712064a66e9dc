"""Every command and every program in the pages is run, on small simulated stand-ins of the files that it names."""

import json
import re
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

pytest.importorskip("docutils.core")

sys.path.insert(0, str(Path(__file__).parent))
from pages import PAGES, ROOT, blocks, commands, inline_commands, is_python, is_shell

from cryores.cli import COMMANDS, main
from cryores.cli.method_parser import parser_of
from cryores.cli.options import Parser, join_negative_numbers
from cryores.mapio import read_map, write_map
from cryores.masks import soft_rim
from cryores.method import load_method, method_summaries
from cryores.simulation import simulate

NOT_RUN = {
    r"(python -m )?pip |python -m venv|env/bin/": "installs, from a network",
    r"scipion3 install": "installs",
    r"scipion3 template": "run by tests/scipion",
    r"chimerax|firefox|python -m scipion$": "opens a window",
    r"mkdir -p ~/scipion": "in the home of whoever reads",
    r"python -m benchmarks": "minutes, and models or maps that are not in the repository",
    r"cryores (train|demo)": "minutes",
    r"python (-m scipion python )?docs/recipes": "run by test_recipes.py",
    r"scipion3 python docs/recipes": "run by test_recipes.py",
    r"cryores batch": "starts workers; run by its own tests",
    r"cryores web": "serves until it is stopped",
    r"cryores weights (fetch|import)": "the authors' files, from a network or a disk",
    r"cryores deepres --map MAP": "MAP and RANGE stand for any",
    r"make": "is what runs the tests",
}
"""Commands that cannot be run here, and why. Those of cryores are parsed all the same."""

FAILS = {
    r"cryores .* --weights published": 5,
    r"cryores weights path": 5,
    r"cryores deepemhancer .* wideTarget": 0 if (ROOT / "cryores/weights/enhancer-wideTarget.npz").exists() else 5,
}
"""Commands whose exit status, where no weights are installed, is not 0."""

COMING = {"web"} - set(COMMANDS)
"""Commands that the pages name and that come with a later change."""

QUICKER = {
    "--size 112": "--size 48",
    "--max-resolution 100": "--max-resolution 100 --size 20",
    "cryores monodir": "cryores monodir --fast --min-resolution 4 --max-resolution 8 --resolution-step 2",
    "--bfactors -140 -110 -80 -50 -20": "--bfactors -50 -20",
    "input auto_b given_b deposited localdeblur locspiral deepemhancer": "input given_b",
    "cryores verdict": "cryores verdict --resolution-step 1",
    "cryores deepemhancer": "cryores deepemhancer --views 1",
    "cryores locscale": "cryores locscale --window 16",
}
"""What would take long in a test, and what is run in its place."""

ALREADY_RUN = {}
"""What was run, with the content of the files it names -> where its results are. Pages repeat each other."""

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

TABLES = {"name,map,before": "maps.csv", "name,half1,half2,model": "halves.csv"}
"""Blocks that are the content of a file: how they begin -> its name."""

PATHS = re.compile(r"[\w./-]+\.(?:mrc(?:\.gz)?|map|ccp4|cif|pdb)\b")


def middle_of(structure, folder):
    """Write the residues within 10 Å of the middle of ``structure``: the smaller the particle, the quicker the runs."""
    centre = np.mean([atom.pos.tolist() for residue in structure[0][0] for atom in residue], axis=0)
    for chain in structure[0]:
        for i in reversed(range(len(chain))):
            if np.linalg.norm(np.mean([a.pos.tolist() for a in chain[i]], axis=0) - centre) > 10.0:
                del chain[i]
    structure.make_mmcif_document().write_file(str(folder / "model.cif"))
    return folder / "model.cif"


@pytest.fixture(scope="module")
def stand_ins(tmp_path_factory):
    whole = simulate(shape=(44, 44, 44), voxel_size=1.0, finest=3.0, coarsest=8.0, seed=3).structure
    made = simulate(middle_of(whole, tmp_path_factory.mktemp("model")), (44, 44, 44), 1.0, 3.0, 8.0, seed=3)
    resolution = made.truth.like(np.where(made.mask.data > 0.5, made.truth.data, 0))
    maps = {
        "half1": made.halves.half1,
        "half2": made.halves.half2,
        "mask": soft_rim(made.mask, 6.0),
        "map": made.halves.mean(),
    }
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
        parser = parser_of(load_method(name))
    return parser, rest


def expected_status(line):
    return next((status for pattern, status in FAILS.items() if re.match(pattern, line)), 0)


def run(words, stand_ins, tmp_path_factory, capsys):
    line = " ".join(words)
    for long, short in QUICKER.items():
        line = line.replace(long, short)
    if words[:2] == ["python", "-c"]:
        exec(words[2], {})
        return
    assert words[0] == "cryores", f"say in NOT_RUN why this is not run: {line}"
    provide(line, stand_ins)
    given, out = line.split()[1:], None
    if "--out" in given:
        out = Path(given.pop(given.index("--out") + 1))
        given.remove("--out")
        shutil.rmtree(out, ignore_errors=True)
    key = (*given, *(path.read_bytes() for path in map(Path, given) if path.is_file()))
    if out and key in ALREADY_RUN:
        shutil.copytree(ALREADY_RUN[key], out)
        return
    status = main(given if out is None else [*given, "--out", str(out)])
    assert status == expected_status(line), f"{line}\n{capsys.readouterr().err[-2000:]}"
    if out and status == 0:
        ALREADY_RUN[key] = shutil.copytree(out, tmp_path_factory.mktemp("results") / out.name)


@pytest.mark.parametrize("page", PAGES)
def test_commands_of_a_page_run(page, folder, stand_ins, tmp_path_factory, capsys):
    for block in blocks(page):
        for beginning, name in TABLES.items():
            if block.startswith(beginning):
                Path(name).write_text(block + "\n", encoding="utf-8")
                provide(block, stand_ins)
    for block in filter(is_shell, blocks(page)):
        for words in commands(block):
            if not any(re.match(pattern, " ".join(words)) for pattern in NOT_RUN):
                run(words, stand_ins, tmp_path_factory, capsys)


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
        elif words[:2] == ["python", "-c"]:
            compile(words[2], page, "exec")
        else:
            assert any(re.match(pattern, line) for pattern in NOT_RUN), line


@pytest.mark.parametrize("page", PAGES)
def test_commands_in_sentences_have_names_and_options_that_exist(page):
    for words in inline_commands(page):
        if words[1] in ("METHOD", "NAME") or words[1].startswith("--"):
            continue
        if words[1] in COMING or "..." in words:
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


def test_the_method_of_contributing_finds_the_planted_resolution():
    made, names = simulate(shape=(56, 56, 56), voxel_size=1.5, finest=4.0, coarsest=10.0, seed=3), {}
    (program,) = [block for block in blocks("CONTRIBUTING.rst") if "METHOD = Method(" in block]
    exec(compile(program, "CONTRIBUTING.rst", "exec"), names)
    found = names["toyfsc"](made.halves, made.mask).resolution.data
    truth, inside = made.truth.data, np.isfinite(found)
    assert spearmanr(found[inside], truth[inside])[0] > 0.5


def test_the_protocol_of_contributing_sets_what_others_have():
    protocols, names = pytest.importorskip("cryoresplugin.protocols", reason="Scipion is not installed here"), {}
    (program,) = [block for block in blocks("CONTRIBUTING.rst") if "class CryoresProt" in block]
    exec(compile(program, "CONTRIBUTING.rst", "exec"), names)
    protocol = names["CryoresProtToyFSC"]
    assert protocol._method == "toyfsc"
    assert [name for name in vars(protocol) if not hasattr(protocols.CryoresProtRelionLocres, name)] == []
