"""From metrics.json to what people read: HTML, Markdown, figures and a table in the terminal."""
