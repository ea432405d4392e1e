"""Where commands become transactions."""
