"""What the Rust crate `tokenizers` makes of texts by regular expressions.

usage: tokenizers_expressions.py QUESTIONS_JSON ANSWERS_JSON
QUESTIONS: {"expressions": [...], "texts": [...], "behaviors": [...], "sets": [...], "characters": TEXT}
ANSWERS: {"version", "expressions": [null where it is refused, else {"pieces": [behavior][text][piece],
"replaced": [text]}], "left": [CHARACTERS without what the set matches]}
"""
import json
import sys

import tokenizers
from tokenizers import Regex
from tokenizers.normalizers import Replace
from tokenizers.pre_tokenizers import Split


def answer(expression, texts, behaviors):
    try:
        regex = Regex(expression)
    except Exception:
        return None
    pieces = []
    for behavior in behaviors:
        split = Split(regex, behavior)
        pieces.append([[piece for piece, _ in split.pre_tokenize_str(text)] for text in texts])
    replace = Replace(regex, "<>")
    return {"pieces": pieces, "replaced": [replace.normalize_str(text) for text in texts]}


def main():
    with open(sys.argv[1], encoding="utf-8") as stream:
        asked = json.load(stream)
    answers = {
        "version": tokenizers.__version__,
        "expressions": [answer(each, asked["texts"], asked["behaviors"]) for each in asked["expressions"]],
        "left": [Replace(Regex(each), "").normalize_str(asked["characters"]) for each in asked["sets"]],
    }
    with open(sys.argv[2], "w", encoding="utf-8") as stream:
        json.dump(answers, stream)


main()
