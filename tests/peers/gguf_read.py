"""Reads a GGUF file with the format's own Python package and prints what it found as one JSON object: `architecture`,
`keys`, and for each tensor its type, its shape (outermost first) and the sum of its restored values."""
import json
import sys

import numpy
from gguf import GGUFReader, dequantize

reader = GGUFReader(sys.argv[1])
tensors = {}
for tensor in reader.tensors:
    values = dequantize(tensor.data, tensor.tensor_type).astype(numpy.float64)
    tensors[tensor.name] = {
        "type": tensor.tensor_type.name,
        "shape": [int(size) for size in reversed(tensor.shape)],
        "sum": float(values.sum()),
    }
print(json.dumps({
    "architecture": reader.fields["general.architecture"].contents(),
    "keys": len(reader.fields),
    "tensors": tensors,
}))
