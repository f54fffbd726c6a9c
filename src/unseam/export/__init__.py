"""A trained model in the formats that others run: ONNX, OpenVINO, bioimage.io."""

SUFFIXES = {"onnx": ".onnx", "openvino": ".xml", "bioimageio": ".zip"}
"""How the name of a file of each format ends."""
