"""A trained model in the formats that others run, ONNX, OpenVINO, bioimage.io; or its own, half as large."""

SUFFIXES = {"onnx": ".onnx", "openvino": ".xml", "bioimageio": ".zip", "safetensors": ".safetensors"}
"""How the name of a file of each format ends."""
