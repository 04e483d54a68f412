"""kdbench for programs and notebooks; ``benchmark`` itself offers these names."""
