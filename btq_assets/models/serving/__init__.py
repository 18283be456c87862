"""Trained networks for the live loop: ONNX files beside a saved model, and a forecaster that runs them.

Read `export` (a network as ONNX), `precision` (half and eight-bit variants and what they cost), then
`forecaster`. onnx and onnxruntime are the extra ``serving`` and are imported inside functions.
"""
