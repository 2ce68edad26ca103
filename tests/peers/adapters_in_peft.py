"""Computes logits with transformers and PEFT for tests/peers/adapter_peer_test.cpp.

    adapters_in_peft.py JOBS

JOBS is a JSON file, {"logits": FILE, "jobs": [...]}. A job has a name, a base folder, token ids, and one of
    nothing               the base alone
    adapter               one adapter folder
    adapters, weights, type, svd_rank
                          several, through add_weighted_adapter
    merge: true           beside adapter: through merge_and_unload
The logits [tokens, vocabulary] of every job go into one safetensors file under the job's name, in float32.
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


def logits_of(job):
    model = AutoModelForCausalLM.from_pretrained(job["base"], dtype=torch.float32, attn_implementation="eager")
    if "adapters" in job:
        model = combined(model, job)
    elif "adapter" in job:
        model = PeftModel.from_pretrained(model, job["adapter"])
        if job.get("merge"):
            model = model.merge_and_unload()
    model.eval()
    with torch.no_grad():
        return model(input_ids=torch.tensor([job["ids"]])).logits[0].float().contiguous().clone()


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        document = json.load(file)
    logging.disable_progress_bar()
    torch.set_num_threads(1)
    save_file({job["name"]: logits_of(job) for job in document["jobs"]}, document["logits"])


if __name__ == "__main__":
    main()
