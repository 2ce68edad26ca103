"""Number files: learning rate schedules and sampling filters of transformers, optimizers of torch, blocks of gguf."""

import json

import numpy
import torch
from gguf import GGMLQuantizationType, dequantize, quantize
from safetensors.numpy import save_file
from transformers import get_scheduler
from transformers.generation import logits_process

STEPS = 24
SCHEDULES = [
    ("constant", {}), ("constant_with_warmup", {}), ("cosine", {}), ("inverse_sqrt", {}), ("linear", {}),
    ("polynomial", {}), ("cosine_with_restarts", {"num_cycles": 3}), ("cosine_with_min_lr", {"min_lr_rate": 0.2}),
    ("warmup_stable_decay", {"num_decay_steps": 7, "num_stable_steps": 9, "min_lr_ratio": 0.1}),
]
ADAMW = [{"lr": 0.02, "betas": [0.9, 0.99], "eps": 1e-8, "weight_decay": 0.0},
         {"lr": 0.005, "betas": [0.85, 0.999], "eps": 1e-7, "weight_decay": 0.05}]
SGD = {"lr": 0.03, "momentum": 0.9, "weight_decay": 0.02}


def write_json(path, document):
    path.write_text(json.dumps(document, indent=1) + "\n", "utf-8")


def write_schedules(path):
    rows = []
    for name, settings in SCHEDULES:
        for warmup in (0, 5):
            optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
            scheduler = get_scheduler(name, optimizer, num_warmup_steps=warmup, num_training_steps=STEPS,
                                      scheduler_specific_kwargs=dict(settings))
            multiplier = []
            for _ in range(STEPS):
                multiplier.append(float(scheduler.get_last_lr()[0]))
                optimizer.step()
                scheduler.step()
            rows.append({"name": name, "warmup": warmup, "steps": STEPS, "settings": settings,
                         "multiplier": multiplier})
    write_json(path, rows)


def stepped(make, initial, gradients):
    weight = torch.nn.Parameter(torch.tensor(initial))
    optimizer = make([weight])
    rows = []
    for gradient in gradients:
        weight.grad = torch.tensor(gradient)
        optimizer.step()
        rows.append(weight.detach().clone().numpy())
    return numpy.stack(rows)


def write_optimisers(folder):
    random = numpy.random.default_rng(11)
    initial, gradients = random.normal(size=29), random.normal(size=(10, 29))
    gradients[:, 0] = 0.0
    gradients[:, 1] *= 1e-9
    gradients[3, 2] = 1e4
    tensors = {"initial": initial, "gradients": gradients}
    for number, settings in enumerate(ADAMW):
        tensors[f"adamw.{number}"] = stepped(lambda weights: torch.optim.AdamW(weights, **settings), initial, gradients)
    tensors["sgd_momentum"] = stepped(lambda weights: torch.optim.SGD(weights, **SGD), initial, gradients)
    save_file(tensors, str(folder / "optimisers.safetensors"))
    write_json(folder / "optimisers.json", {"adamw": ADAMW, "sgd": SGD})


def write_sampling(path):
    random = numpy.random.default_rng(12)
    logits = (3 * random.normal(size=50)).astype(numpy.float32)
    logits[20] = logits[21]  # a tie
    context = [4, 9, 9, 13, 4, 9]
    filters = {
        "temperature 0.6": [logits_process.TemperatureLogitsWarper(0.6)],
        "top_k 7": [logits_process.TopKLogitsWarper(7)],
        "top_p 0.7": [logits_process.TopPLogitsWarper(0.7)],
        "min_p 0.2": [logits_process.MinPLogitsWarper(0.2)],
        "typical 0.6": [logits_process.TypicalLogitsWarper(0.6)],
        "repetition 1.5": [logits_process.RepetitionPenaltyLogitsProcessor(1.5)],
        "no repeat 2-gram": [logits_process.NoRepeatNGramLogitsProcessor(2)],
        "temperature 0.8, top_k 12, top_p 0.85": [logits_process.TemperatureLogitsWarper(0.8),
                                                  logits_process.TopKLogitsWarper(12),
                                                  logits_process.TopPLogitsWarper(0.85)],
    }
    cases = []
    for name, chain in filters.items():
        scores = torch.tensor(logits, dtype=torch.float64)[None]
        for each in chain:
            scores = each(torch.tensor([context]), scores)
        cases.append({"name": name, "probabilities": torch.softmax(scores[0], -1).tolist()})
    write_json(path, {"logits": [float(value) for value in logits], "context": context, "cases": cases})


def write_blocks(path):
    random = numpy.random.default_rng(13)
    weight = (random.normal(size=(3, 256)) * 0.05).astype(numpy.float32)
    weight[0, :32] = 0.0
    weight[1, 7] = 4.0
    tensors = {"weight": weight}
    for name in ("BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1"):
        kind = GGMLQuantizationType[name]
        tensors["quantised." + name] = quantize(weight, kind).view(numpy.uint8)
        tensors["dequantised." + name] = dequantize(tensors["quantised." + name], kind).astype(numpy.float32)
    for name, size in (("Q4_K", 144), ("Q6_K", 210)):
        blocks = random.integers(0, 256, size=(3, size), dtype=numpy.uint8)
        for at in ((0, 2) if name == "Q4_K" else (208,)):  # scales in float16: neither huge nor no number
            blocks[:, at:at + 2] = numpy.float16(random.uniform(1e-3, 1e-2, size=(3, 1))).view(numpy.uint8)
        tensors["blocks." + name] = blocks
        tensors["dequantised." + name] = dequantize(blocks, GGMLQuantizationType[name]).astype(numpy.float32)
    save_file(tensors, str(path))


def write_numbers(folder):
    folder.mkdir(parents=True)
    torch.set_num_threads(1)
    write_schedules(folder / "schedules.json")
    write_optimisers(folder)
    write_sampling(folder / "sampling.json")
    write_blocks(folder / "gguf.safetensors")
