"""From the target's logits to what is accepted."""
