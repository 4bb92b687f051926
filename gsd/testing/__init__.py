"""What strangers test their methods with, and we ours."""
