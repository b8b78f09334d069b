"""What a Python kernel of the code interpreter has beyond IPython's own: result formats, charts, and how it starts."""
