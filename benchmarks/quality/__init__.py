"""How well density models fit real data: recipes, and what runs them."""
