"""Rates of the Rust crate `tokenizers` through its Python package, one thread, and the ids that it gives.

usage: tokenizers_rate.py TOKENIZER_JSON DOCUMENTS_JSON IDS_JSON ROUNDS
Prints {"version", "encode_seconds", "decode_seconds"}: the best of the rounds over all documents, one call a document.
"""
import json
import os
import sys
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"

import tokenizers  # noqa: E402  (after its environment)


def best_seconds(rounds, work):
    best = float("inf")
    for _ in range(rounds):
        begin = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - begin)
    return best


def main():
    file, documents_file, ids_file, rounds = sys.argv[1:5]
    tokenizer = tokenizers.Tokenizer.from_file(file)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.encode_special_tokens = True
    with open(documents_file, encoding="utf-8") as stream:
        documents = json.load(stream)

    def encode_all():
        for document in documents:
            tokenizer.encode(document, add_special_tokens=False)

    ids = [tokenizer.encode(document, add_special_tokens=False).ids for document in documents]

    def decode_all():
        for row in ids:
            tokenizer.decode(row)

    with open(ids_file, "w", encoding="utf-8") as stream:
        json.dump(ids, stream)
    print(json.dumps({
        "version": tokenizers.__version__,
        "encode_seconds": best_seconds(int(rounds), encode_all),
        "decode_seconds": best_seconds(int(rounds), decode_all),
    }))


main()
