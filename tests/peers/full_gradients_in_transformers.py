"""Computes the gradient of every weight with transformers, for tests/peers/full_gradients_peer_test.cpp.

    full_gradients_in_transformers.py JOBS

JOBS is a JSON file, {"answers": FILE, "jobs": [...]}. A job has
    name, base
    documents      [{"ids": [...], "targets": [...]}], target -100 = none; the loss is the mean over all targets
Into one safetensors file go, in float32,
    NAME/float64/TENSOR, NAME/float32/TENSOR   gradients under the names of the base's own file, whatever the program
                                               calls them: a weight is known by its values
"""

import json
import os
import sys

os.environ["HF_HUB_OFFLINE"] = "1"

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM
from transformers.utils import logging


def loss_of(model, documents):
    total, count = 0.0, 0
    for document in documents:
        logits = model(input_ids=torch.tensor([document["ids"]])).logits[0]
        targets = torch.tensor(document["targets"])
        total = total + torch.nn.functional.cross_entropy(logits, targets, ignore_index=-100, reduction="sum")
        count += int((targets >= 0).sum())
    return total / count


def name_in_file(parameter, stored):
    values = parameter.detach().float()
    found = [name for name, tensor in stored.items() if tensor.shape == values.shape and torch.equal(tensor, values)]
    if len(found) != 1:
        raise SystemExit(f"a weight of shape {tuple(values.shape)} has {len(found)} equals in the file")
    return found[0]


def gradients_of(job, dtype):
    stored = load_file(os.path.join(job["base"], "model.safetensors"))
    # In float32 first, so that both precisions start from the same numbers.
    model = AutoModelForCausalLM.from_pretrained(job["base"], dtype=torch.float32, attn_implementation="eager")
    names = [name_in_file(parameter, stored) for parameter in model.parameters()]
    model = model.to(dtype).train()
    loss_of(model, job["documents"]).backward()
    return {name: parameter.grad.float().contiguous() for name, parameter in zip(names, model.parameters())}


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        document = json.load(file)
    logging.disable_progress_bar()
    torch.set_num_threads(1)
    answers = {}
    for job in document["jobs"]:
        for kind, dtype in (("float64", torch.float64), ("float32", torch.float32)):
            for name, gradient in gradients_of(job, dtype).items():
                answers[f"{job['name']}/{kind}/{name}"] = gradient
    save_file(answers, document["answers"])


if __name__ == "__main__":
    main()
