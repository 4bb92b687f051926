"""Verification: from the target's logits to the accepted tokens."""
