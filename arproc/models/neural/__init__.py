"""Neural processes: networks that give the conditionals, trained by the one loop."""
