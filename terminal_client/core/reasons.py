"""The registry of reason codes: what each means, who acts, and what to do.

Rules may add codes of their own (``[A-Z][A-Z0-9_]*``); those belong to ``STORE`` unless
the bundle says otherwise. docs/reason-codes.md is checked against this table.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Owner(StrEnum):
    """Who acts on a reason."""

    STORE = "store"
    OPS = "ops"
    PLATFORM = "platform"
    MLOPS = "mlops"


@dataclass(frozen=True, slots=True)
class ReasonCode:
    """One code: its meaning in a sentence, its owner, and the next step."""

    code: str
    owner: Owner
    meaning: str
    next_step: str


_NOTHING = "Nothing to do."
_TABLE = (
    ("AGE_CHECK_REQUIRED", Owner.STORE, "An item may be sold only to buyers of a certain age.",
     "Check the customer's identity document."),
    ("BOTH_TIERS_UNCERTAIN", Owner.MLOPS, "Neither model was sure enough; the rule decided.",
     "Watch its share: a rise means that the model or its tables have aged."),
    ("BUDGET_EXHAUSTED", Owner.PLATFORM, "A stage or a rule ran out of time or steps.",
     "Look at the ledger: shorten the stage or raise its allotment in the policy."),
    ("CANARY_FAILED", Owner.MLOPS, "A model's golden answers came out wrong on this box.",
     "Keep the old version; compare provider and driver with the manifest."),
    ("CARD_NUMBER_REDACTED", Owner.PLATFORM, "A token field held what may be a card number.",
     "Have the register send the payment provider's token instead."),
    ("CDN_MISS", Owner.PLATFORM, "The mirror could not find a bundle it was told of.",
     "Check that the publisher uploaded it before it moved the pointer."),
    ("CERT_EXPIRED", Owner.OPS, "A certificate is past its last day.", "Enrol the machine again."),
    ("CERT_EXPIRING", Owner.OPS, "A certificate is near its last day.",
     "Enrol the machine again before it ends."),
    ("CLOCK_UNTRUSTED", Owner.OPS, "The clock disagrees with what is known to be past.",
     "Check NTP and the clock battery."),
    ("CLOUD_ERROR", Owner.PLATFORM, "The deep tier answered with an error.",
     "Look at the deep endpoint's log."),
    ("COUPON_ALREADY_REDEEMED", Owner.STORE, "The household has used this coupon.", _NOTHING),
    ("COUPON_EXPIRED", Owner.STORE, "The coupon's last day is over.", _NOTHING),
    ("COUPON_LIMIT_REACHED", Owner.STORE, "The signed limit for such coupons is used up.",
     "Ask a supervisor."),
    ("COUPON_MALFORMED", Owner.STORE, "The coupon's code cannot be read.",
     "Scan it again; key it if that fails."),
    ("COUPON_NOT_STARTED", Owner.STORE, "The coupon's first day is yet to come.", _NOTHING),
    ("COUPON_NOT_TARGETED", Owner.STORE, "The coupon was not sent to this household.", _NOTHING),
    ("COUPON_NO_QUALIFYING_ITEM", Owner.STORE, "No item in the basket earns this coupon.",
     "Ask the customer which item it is for."),
    ("COUPON_QUANTITY_NOT_MET", Owner.STORE, "Too few of the coupon's items are in the basket.",
     "Tell the customer how many are missing."),
    ("COUPON_UNKNOWN", Owner.MLOPS, "The coupon is in no campaign on this box.",
     "Check that the rules bundle is current."),
    ("COUPON_UNVERIFIED_OFFLINE", Owner.PLATFORM, "Taken without the on-line check.",
     "It is reconciled later; watch the total."),
    ("DISK_PRESSURE", Owner.OPS, "The disk is nearly full.", "Free space on the state volume."),
    ("DRILL", Owner.OPS, "A drill is running.", _NOTHING),
    ("FEATURES_EXPIRED", Owner.MLOPS, "The feature tables are too old for models.",
     "Restore the link to the cloud."),
    ("FEATURES_STALE", Owner.MLOPS, "The feature tables are past their fresh window.",
     "Restore the link to the cloud."),
    ("GATEWAY_BAD_ANSWER", Owner.PLATFORM, "The gateway's answer could not be used.",
     "Compare the versions of register and gateway."),
    ("GATEWAY_BREAKER_OPEN", Owner.OPS, "The gateway had failed too often to be asked.",
     "Look at the gateway; it is tried again by itself."),
    ("GATEWAY_CERTIFICATE_REJECTED", Owner.OPS, "TLS failed: a certificate was refused.",
     "Enrol the machine that the detail names again."),
    ("GATEWAY_ERROR", Owner.PLATFORM, "The gateway answered with an error.",
     "Look at the detail and at the gateway's log."),
    ("GATEWAY_TIMEOUT", Owner.OPS, "The gateway did not answer inside the budget.",
     "Look at the gateway's load and the store's network."),
    ("GATEWAY_UNREACHABLE", Owner.OPS, "There is no connection to the gateway.",
     "Check the gateway's power and the store's network."),
    ("GPU_FAULT", Owner.OPS, "The GPU failed.", "Look at the driver's log; reboot out of hours."),
    ("INFERENCE_DOWN", Owner.OPS, "The inference server does not answer.",
     "Look at its log; it is restarted by itself."),
    ("INFLUENCE_CAPPED", Owner.MLOPS, "A model asked for more than policy lets it touch.",
     "Check the workflow's influence list."),
    ("INVALID_REQUEST", Owner.PLATFORM, "The register's question breaks the contract.",
     "Correct the field that the detail names."),
    ("ITEM_UNKNOWN", Owner.STORE, "The item is not in the tables.", _NOTHING),
    ("METADATA_EXPIRED", Owner.PLATFORM, "A channel's signed documents are past their date.",
     "They are still used; sign and publish them again."),
    ("MODEL_EXPIRED", Owner.MLOPS, "The model is too old to be used.", "Publish a new one."),
    ("MODEL_STALE", Owner.MLOPS, "The model is past its fresh window.", "Publish a new one."),
    ("MODEL_STALE_USED", Owner.MLOPS, "A stale model decided, with raised thresholds.",
     "Publish a new one."),
    ("MODEL_UNAVAILABLE", Owner.MLOPS, "The workflow's model could not be used.",
     "Look at the model's state on the box."),
    ("NOT_READY", Owner.OPS, "The serving process can decide nothing yet.",
     "Run posgate status and look at the rules artifact."),
    ("NO_RULES", Owner.PLATFORM, "No signed rules are active on this box.",
     "Check bundles_url, root and ring in the configuration."),
    ("OFFLINE_FLOOR_EXCEEDED", Owner.STORE, "More than policy lets pass unverified.",
     "Ask a supervisor."),
    ("OPERATOR_FORCED", Owner.OPS, "An operator has ordered this mode.",
     "Release it: posgate mode release."),
    ("OVERLOADED", Owner.PLATFORM, "There was too much work; the rules answered.",
     "Watch its share; size the box."),
    ("POLICY_FORBIDS_MODEL", Owner.MLOPS, "Mode or policy does not allow the model.", _NOTHING),
    ("PRICE_CONTRADICTS_MODEL", Owner.STORE, "The register's price disagrees with a sure model.",
     "Compare with the shelf label."),
    ("PRICE_OVERRIDE_LARGE", Owner.STORE, "A price was changed by much.", "Look at the item."),
    ("PROMOTION_LIMITED", Owner.MLOPS, "The best deal was not searched to the end.",
     "Simplify overlapping promotions."),
    ("PROVIDER_CHANGED", Owner.OPS, "A model runs on another processor than asserted.",
     "Check driver and GPU."),
    ("QUANTITY_UNUSUAL", Owner.STORE, "The quantity is unusual.", "Count the items."),
    ("RECORD_LATE", Owner.PLATFORM, "The decision was not on disk yet when it was given.",
     "Look at the register's disk if it happens often."),
    ("RECORD_LOST", Owner.OPS, "The decision could not be kept; a gap says so.",
     "Free space on the register's disk."),
    ("RULES_EXPIRED", Owner.MLOPS, "The rules are past their last day and keep deciding.",
     "Restore the link to the cloud."),
    ("RULES_REPINNED", Owner.PLATFORM, "The basket's rules are gone; newer ones decided.",
     _NOTHING),
    ("RULES_STALE", Owner.MLOPS, "The rules are past their fresh window.",
     "Restore the link to the cloud."),
    ("RULES_UNAVAILABLE", Owner.OPS, "There is no rules bundle on this machine.",
     "Check the machine's enrolment and its link to the gateway."),
    ("RULE_ERROR", Owner.MLOPS, "A rule failed on this basket.", "Correct the rule."),
    ("SCHEMA_MISMATCH", Owner.MLOPS, "An artifact does not fit the box's contract.",
     "Build it again for this version."),
    ("SCORE_BORDERLINE", Owner.MLOPS, "The score is between the bands.", _NOTHING),
    ("SCORE_HIGH", Owner.STORE, "The model is sure that this is unusual.", "Look at the items."),
    ("SERVING_DOWN", Owner.OPS, "The serving process does not answer; registers decide alone.",
     "It is restarted by itself; look at its log."),
    ("SERVING_OUT_OF_STEP", Owner.PLATFORM, "The serving process did not take an order.",
     "Look at its log; restart it."),
    ("SYNC_REFUSED", Owner.PLATFORM, "A channel does not advance: what came was refused.",
     "What is active stays; publish the channel's documents again."),
    ("TERMINAL_SILENT", Owner.STORE, "A register has not been heard for a while.",
     "Check that it is switched on and its network cable is in."),
    ("THERMAL", Owner.OPS, "The box is too hot.", "Check fan and air."),
    ("UPDATING", Owner.OPS, "The box is being updated.", _NOTHING),
    ("VOID_RATE_HIGH", Owner.STORE, "Many lines were voided.", "Look at the basket."),
    ("WAN_DOWN", Owner.OPS, "The cloud cannot be reached.", "Check the store's link."),
    ("WAN_SLOW", Owner.OPS, "The cloud answers too slowly.", "Check the store's link."),
    ("WEIGHT_MISMATCH", Owner.STORE, "Weight and items disagree.", "Look at the items."),
    ("COUPON_MATCHED", Owner.STORE, "The store adds to the coupon's value.", _NOTHING),
    ("COUPON_NEEDS_ATTENDANT", Owner.STORE, "The coupon is one that only a person can judge.",
     "Read the coupon and decide."),
    ("COUPON_OTHER_RETAILER", Owner.STORE, "The coupon is for another retailer.", _NOTHING),
    ("LINE_NUMBER_DUPLICATE", Owner.PLATFORM, "Two lines have the same number; neither takes part.",
     "Have the register number each line once."),
    ("LINE_OUT_OF_RANGE", Owner.PLATFORM, "A line's values are outside the contract's ranges.",
     "Have the register send values inside them."),
    ("PROMOTION_CAPPED", Owner.STORE, "The promotion has reached its limit.", _NOTHING),
    ("PROMOTION_ELIGIBILITY_ERROR", Owner.MLOPS, "A promotion's condition failed on this basket.",
     "Correct the condition."),
    ("PROMOTION_NOT_ELIGIBLE", Owner.STORE, "The promotion's condition does not hold.", _NOTHING),
    ("PROMOTION_NOT_REACHED", Owner.STORE, "The basket is still short of the promotion.",
     "Tell the customer what is missing."),
    ("PROMOTION_NOT_TARGETED", Owner.STORE, "The promotion is not for this household.", _NOTHING),
    ("PROMOTION_NO_ITEM", Owner.STORE, "No item of the promotion is in the basket.", _NOTHING),
    ("PROMOTION_NO_SALE", Owner.STORE, "Promotions apply to sales only.", _NOTHING),
    ("PROMOTION_NO_SAVING", Owner.STORE, "The promotion would save nothing here.", _NOTHING),
    ("PROMOTION_OUTSIDE_WINDOW", Owner.STORE, "The promotion is not running now.", _NOTHING),
    ("PROMOTION_SUPERSEDED", Owner.STORE, "A better promotion took its place.", _NOTHING),
    ("WORKFLOW_UNKNOWN", Owner.PLATFORM, "The rules bundle does not know the workflow.",
     "Ask only workflows that the policy names."),
)  # fmt: skip

REASON_CODES = {row[0]: ReasonCode(*row) for row in _TABLE}
"""Every code that posgate itself uses."""
