"""The only place where protobuf and core types meet.

``basket_from_pb`` and ``decode_request`` validate and redact; ``decision_from_pb`` refuses
an answer it cannot fully understand. Nothing here decides.
"""

from terminal_client.codec.basket_reader import basket_from_pb, redact_transaction
from terminal_client.codec.basket_writer import basket_to_pb, instant_to_pb
from terminal_client.codec.card_numbers import holds_card_number
from terminal_client.codec.decisions import AnswerError, decision_from_pb, decision_to_pb
from terminal_client.codec.request_error import RequestError
from terminal_client.codec.requests import DecodedRequest, decode_request, encode_request

__all__ = [
    "AnswerError",
    "DecodedRequest",
    "RequestError",
    "basket_from_pb",
    "basket_to_pb",
    "decision_from_pb",
    "decision_to_pb",
    "decode_request",
    "encode_request",
    "holds_card_number",
    "instant_to_pb",
    "redact_transaction",
]
