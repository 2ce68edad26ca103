"""Makes the outputs of other engines that lie in tests/golden, or checks that they come out again.

    python tests/golden/make/make_golden.py            # writes tests/golden
    python tests/golden/make/make_golden.py --check    # makes them elsewhere and compares

The Python is that of tests/peers/install.sh. Everything is made from seeds and from the texts of this folder: no model,
tokenizer or template of anybody else. Texts and token ids come out equal to the byte; numbers that a processor may sum
in another order come out within 1e-6 of the largest.
"""

import filecmp
import json
import os
import pathlib
import shutil
import sys
import tempfile
import warnings

sys.dont_write_bytecode = True
warnings.simplefilter("ignore")
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import numpy  # noqa: E402  (after its environment)
from safetensors.numpy import load_file

from make_models import write_models
from make_numbers import write_numbers
from make_templates import write_templates
from make_tokenizers import write_tokenizers

HOME = pathlib.Path(__file__).resolve().parent.parent
PARTS = ["models", "numbers", "templates", "tokenizers"]
NEAR = 1e-6
MEASUREMENTS = ("peer_error", "adapters", "merged_equals_adapter")


def write_all(folder):
    write_tokenizers(folder / "tokenizers")
    write_templates(folder / "templates", folder / "tokenizers")
    write_numbers(folder / "numbers")
    write_models(folder / "models")


def near(made, stored):
    """Equal but for numbers, which may be a little apart; errors of a peer are measurements and may be anything."""
    if isinstance(stored, dict):
        return isinstance(made, dict) and made.keys() == stored.keys() and all(
            key in MEASUREMENTS or near(made[key], stored[key]) for key in stored)
    if isinstance(stored, list):
        return isinstance(made, list) and len(made) == len(stored) and all(map(near, made, stored))
    if isinstance(stored, float):
        return abs(made - stored) <= NEAR * max(1.0, abs(stored))
    return made == stored


def same(made, stored):
    if filecmp.cmp(made, stored, shallow=False):
        return True
    if stored.suffix == ".safetensors":
        ours, theirs = load_file(made), load_file(stored)
        return ours.keys() == theirs.keys() and all(
            ours[name].shape == theirs[name].shape and ours[name].dtype == theirs[name].dtype
            and numpy.abs(ours[name].astype(numpy.float64) - theirs[name].astype(numpy.float64)).max(initial=0)
            <= NEAR * max(1e-30, numpy.abs(theirs[name].astype(numpy.float64)).max(initial=0)) for name in theirs)
    if stored.suffix == ".json":
        return near(json.loads(made.read_text("utf-8")), json.loads(stored.read_text("utf-8")))
    return False


def check():
    with tempfile.TemporaryDirectory() as name:
        made = pathlib.Path(name)
        write_all(made)
        names = {path.relative_to(made) for path in made.rglob("*") if path.is_file()}
        stored = {path.relative_to(HOME) for part in PARTS for path in (HOME / part).rglob("*") if path.is_file()}
        different = sorted(str(each) for each in names ^ stored)
        different += sorted(str(each) for each in names & stored if not same(made / each, HOME / each))
        exact = sum(filecmp.cmp(made / each, HOME / each, shallow=False) for each in names & stored)
    for each in different:
        print("differs:", each)
    print(f"{len(names)} files, {exact} of them equal to the byte, {len(different)} different")
    return 1 if different else 0


def main():
    if sys.argv[1:] == ["--check"]:
        return check()
    if sys.argv[1:]:
        print(__doc__)
        return 2
    for part in PARTS:
        shutil.rmtree(HOME / part, ignore_errors=True)
    write_all(HOME)
    return 0


if __name__ == "__main__":
    sys.exit(main())
