"""The requests that a server sends, and the one refusal of them that is nobody's fault."""

from fedner.protocol.messages import (
    EvaluateRequest,
    HelloRequest,
    TrainRequest,
)

DECLINED = "policy-scores"
"""Code of scores that a site keeps to itself."""


AnyRequest = HelloRequest | TrainRequest | EvaluateRequest
