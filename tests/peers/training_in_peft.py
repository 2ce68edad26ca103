"""Trains adapters with PEFT, for tests/peers/continued_training_peer_test.cpp.

    training_in_peft.py JOBS

JOBS is a JSON file, {"answers": FILE, "jobs": [...]}. A job has
    name, base
    adapter        folder to go on from; or `create`, the arguments of a new LoraConfig, and `seed`
    documents      [{"ids": [...], "targets": [...]}], target -100 = none; a step takes them all, its loss is the mean
                   over all targets
    optimizer      "sgd" (momentum 0.9) or "adamw" (no decay), with `learning_rate` and `clip_norm`
    steps
    save           folder for the trained adapter, as save_pretrained writes it; or none
It is trained once in float64 and once in float32. Into one safetensors file go, in float32,
    NAME/float64/TENSOR, NAME/float32/TENSOR   the adapter's tensors under the names that PEFT stores them under
    NAME/float64/logits, NAME/float32/logits   of the first document, after training; float32's from the saved adapter
    NAME/float64/losses, NAME/float32/losses   before each step
"""

import json
import os
import sys

os.environ["HF_HUB_OFFLINE"] = "1"

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from peft.utils import get_peft_model_state_dict
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM
from transformers.utils import logging


def start(job, dtype):
    base = AutoModelForCausalLM.from_pretrained(job["base"], dtype=dtype, attn_implementation="eager")
    if "adapter" in job:
        model = PeftModel.from_pretrained(base, job["adapter"], is_trainable=True, autocast_adapter_dtype=False)
    else:
        torch.manual_seed(job["seed"])
        model = get_peft_model(base, LoraConfig(task_type="CAUSAL_LM", **job["create"]), autocast_adapter_dtype=False)
    # In float32 first, so that both precisions start from the same numbers.
    return model.float().to(dtype).train()


def loss_of(model, documents):
    total, count = 0.0, 0
    for document in documents:
        logits = model(input_ids=torch.tensor([document["ids"]])).logits[0]
        targets = torch.tensor(document["targets"])
        total = total + torch.nn.functional.cross_entropy(logits, targets, ignore_index=-100, reduction="sum")
        count += int((targets >= 0).sum())
    return total / count


def optimizer_of(job, parameters):
    if job["optimizer"] == "sgd":
        return torch.optim.SGD(parameters, lr=job["learning_rate"], momentum=0.9)
    return torch.optim.AdamW(parameters, lr=job["learning_rate"], weight_decay=0.0)


def train(job, dtype):
    model = start(job, dtype)
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = optimizer_of(job, parameters)
    losses = []
    for _ in range(job["steps"]):
        optimizer.zero_grad()
        loss = loss_of(model, job["documents"])
        loss.backward()
        if job["clip_norm"] > 0:
            torch.nn.utils.clip_grad_norm_(parameters, job["clip_norm"])
        optimizer.step()
        losses.append(float(loss.detach()))
    return model, losses


def answers_of(job):
    answers = {}
    for name, dtype in (("float64", torch.float64), ("float32", torch.float32)):
        model, losses = train(job, dtype)
        model.eval()
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([job["documents"][0]["ids"]])).logits[0]
        tensors = dict(get_peft_model_state_dict(model))
        tensors["logits"] = logits
        tensors["losses"] = torch.tensor(losses, dtype=torch.float64)
        for tensor, value in tensors.items():
            answers[f"{job['name']}/{name}/{tensor}"] = value.detach().float().contiguous().clone()
    if job.get("save"):
        model.save_pretrained(job["save"])
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
