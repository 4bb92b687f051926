"""What made the bundled pair: corpus, tokenizer, target, draft. No part of the wheel."""
