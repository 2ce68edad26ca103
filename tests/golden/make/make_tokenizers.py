"""Two tokenizers trained on texts of our own, and what the library makes of texts and ids."""

import collections
import json
import math
import unicodedata

from own_texts import CORPUS, TEXTS
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from tokenizers.decoders import DecodeStream

LONG = 300


def lines():
    return [line for line in CORPUS.splitlines() if line]


def byte_level():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    pattern = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
               r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(pattern), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=560, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
                                  special_tokens=["<|end|>", "<|turn|>", "<|close|>"], show_progress=False)
    tokenizer.train_from_iterator(lines(), trainer)
    tokenizer.add_tokens([AddedToken("BR-6204", normalized=False)])
    return tokenizer, {"eos_token": "<|end|>", "pad_token": "<|end|>", "tokenizer_class": "PreTrainedTokenizerFast"}


def frequent_pieces(count):
    """Characters and parts of words of the corpus with scores: the library's own trainer breaks ties by chance."""
    counts = collections.Counter()
    for line in lines():
        for word in unicodedata.normalize("NFKC", line).split():
            word = "▁" + word
            for size in range(1, 9):
                for begin in range(len(word) - size + 1):
                    counts[word[begin:begin + size]] += 1
    worth = {piece: number * len(piece) for piece, number in counts.items() if len(piece) == 1 or number > 1}
    best = sorted(worth, key=lambda piece: (len(piece) > 1, -worth[piece], piece))[:count]
    total = sum(counts[piece] for piece in best)
    return [[piece, round(math.log(counts[piece] / total) + 1.5 * (len(piece) - 1), 4)] for piece in best]


def unigram():
    """Bytes stand for what the vocabulary lacks."""
    vocabulary = [["<unk>", 0.0], ["<s>", 0.0], ["</s>", 0.0]]
    vocabulary += [[f"<0x{byte:02X}>", -30.0] for byte in range(256)] + frequent_pieces(420)
    tokenizer = Tokenizer(models.Unigram([tuple(each) for each in vocabulary], unk_id=0, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC()])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(),
                                           decoders.Strip(" ", 1, 0)])
    tokenizer.add_special_tokens(["<unk>", "<s>", "</s>"])
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A </s>",
                                                             special_tokens=[("<s>", 1), ("</s>", 2)])
    return tokenizer, {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>",
                       "tokenizer_class": "PreTrainedTokenizerFast"}


FAMILIES = {"own_byte_level": byte_level, "own_unigram": unigram}


def streamed(tokenizer, ids, skip):
    """One chunk an id; where the library's stream fails, the chunks before it and the place."""
    stream, chunks = DecodeStream(skip_special_tokens=skip), []
    for at, number in enumerate(ids):
        try:
            chunks.append(stream.step(tokenizer, number) or "")
        except Exception:
            return chunks, at
    return chunks, None


def add_stream(case, key, tokenizer, ids, skip):
    case[key], failed = streamed(tokenizer, ids, skip)
    if failed is not None:
        case[key + "_error_at"] = failed


def byte_offsets(text, offsets):
    at = [0]
    for character in text:
        at.append(at[-1] + len(character.encode("utf-8")))
    return [[at[begin], at[end]] for begin, end in offsets]


def encode_case(tokenizer, name, text, add, plain):
    tokenizer.encode_special_tokens = plain
    found = tokenizer.encode(text, add_special_tokens=add)
    case = {"name": name, "text": text, "add_special_tokens": add, "encode_special_tokens": plain, "ids": found.ids}
    if len(found.ids) <= LONG:
        case["tokens"] = found.tokens
        case["offsets"] = byte_offsets(text, found.offsets)
        case["decoded_skip"] = tokenizer.decode(found.ids, skip_special_tokens=True)
        add_stream(case, "stream", tokenizer, found.ids, False)
    case["decoded"] = tokenizer.decode(found.ids, skip_special_tokens=False)
    return case


def encode_cases(tokenizer):
    specials = sorted((token.content for token in tokenizer.get_added_tokens_decoder().values()))
    texts = dict(TEXTS)
    for number, special in enumerate(specials):
        texts[f"special_{number}"] = f"a{special} b {special}{special}c"
    cases = []
    for name, text in texts.items():
        cases.append(encode_case(tokenizer, name, text, True, False))
        if name.startswith("special") or name in ("sentence", "korean"):
            cases.append(encode_case(tokenizer, name + "_plain", text, False, True))
    return cases


def decode_cases(tokenizer):
    size = tokenizer.get_vocab_size()
    rows = {"empty": [], "out_of_range": [size + 5], "special_between": [10, 0, 12], "steps": list(range(3, size, 37)),
            "bytes": list(range(60, 140, 3)), "falling": list(range(size - 1, 3, -41))}
    cases = []
    for name, ids in rows.items():
        case = {"name": name, "ids": ids, "decoded": tokenizer.decode(ids, skip_special_tokens=False),
                "decoded_skip": tokenizer.decode(ids, skip_special_tokens=True)}
        add_stream(case, "stream", tokenizer, ids, False)
        add_stream(case, "stream_skip", tokenizer, ids, True)
        cases.append(case)
    return cases


def write_lines(path, rows):
    path.write_text("".join(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n" for row in rows), "utf-8")


def component_rows():
    """One part of a tokenizer.json each, alone."""
    for config in ({"type": "NFC"}, {"type": "NFKC"}, {"type": "Lowercase"}, {"type": "Nmt"},
                   {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
                   {"type": "Prepend", "prepend": "▁"},
                   {"type": "Strip", "strip_left": True, "strip_right": True}):
        alone = normalizer_of(config)
        for text in TEXTS.values():
            yield {"kind": "normalizer", "config": config, "input": text, "output": alone.normalize_str(text)}


def normalizer_of(config):
    kind = config["type"]
    if kind == "Replace":
        return normalizers.Replace(config["pattern"]["String"], config["content"])
    if kind == "Prepend":
        return normalizers.Prepend(config["prepend"])
    if kind == "Strip":
        return normalizers.Strip(config["strip_left"], config["strip_right"])
    return getattr(normalizers, kind)()


def write_tokenizers(folder):
    for name, make in FAMILIES.items():
        out = folder / name
        out.mkdir(parents=True)
        tokenizer, about = make()
        tokenizer.save(str(out / "tokenizer.json"), pretty=False)
        (out / "tokenizer_config.json").write_text(json.dumps(about, indent=1) + "\n", "utf-8")
        tokenizer = Tokenizer.from_file(str(out / "tokenizer.json"))
        write_lines(out / "cases.jsonl", encode_cases(tokenizer))
        write_lines(out / "decode_cases.jsonl", decode_cases(tokenizer))
    write_lines(folder / "components.jsonl", component_rows())
