"""Computes logits and greedy tokens with transformers and PEFT, for the tests of tests/peers.

    adapters_in_peft.py JOBS

JOBS is a JSON file, {"answers": FILE, "jobs": [...]}. A job has a name, a base folder, token ids, and one of
    nothing               the base alone
    adapter               one adapter folder
    adapters, weights, type, svd_rank
                          several, through add_weighted_adapter
    merge: true           beside adapter: through merge_and_unload
and perhaps `new_tokens`, how many tokens are written on greedily.
Everything goes into one safetensors file: the logits [tokens, vocabulary] of a job under its name, in float32, and the
tokens under its name and "/greedy".
"""

import json
import os
import sys

os.environ["HF_HUB_OFFLINE"] = "1"

import torch
from peft import PeftModel
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM
from transformers.utils import logging


def combined(model, job):
    first, *others = job["adapters"]
    model = PeftModel.from_pretrained(model, first, adapter_name="adapter0")
    names = ["adapter0"]
    for number, folder in enumerate(others, start=1):
        names.append(f"adapter{number}")
        model.load_adapter(folder, adapter_name=names[-1])
    model.add_weighted_adapter(names, job["weights"], "combined", combination_type=job["type"],
                               svd_rank=job["svd_rank"] or None)
    model.set_adapter("combined")
    return model


def model_of(job):
    model = AutoModelForCausalLM.from_pretrained(job["base"], dtype=torch.float32, attn_implementation="eager")
    if "adapters" in job:
        model = combined(model, job)
    elif "adapter" in job:
        model = PeftModel.from_pretrained(model, job["adapter"])
        if job.get("merge"):
            model = model.merge_and_unload()
    return model.eval()


def greedy_tokens(model, ids, count):
    # The whole text anew for every token: no cache, no early end, nothing but the logits decides.
    ids = list(ids)
    for _ in range(count):
        ids.append(int(model(input_ids=torch.tensor([ids])).logits[0, -1].argmax()))
    return torch.tensor(ids[-count:], dtype=torch.int32)


@torch.no_grad()
def answers_of(job):
    model = model_of(job)
    answers = {job["name"]: model(input_ids=torch.tensor([job["ids"]])).logits[0].float().contiguous().clone()}
    if job.get("new_tokens"):
        answers[job["name"] + "/greedy"] = greedy_tokens(model, job["ids"], job["new_tokens"])
    return answers


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        document = json.load(file)
    logging.disable_progress_bar()
    torch.set_num_threads(1)
    answers = {}
    for job in document["jobs"]:
        answers.update(answers_of(job))
    save_file(answers, document["answers"])


if __name__ == "__main__":
    main()
