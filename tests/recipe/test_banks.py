"""Products with banks are those of torch."""

from __future__ import annotations

import pytest
import torch

from benchmark import product_of_rows


@pytest.mark.parametrize("number", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(64, 128, 5000), (3, 8, 7), (1, 5, 1)])
def test_they_are_those_of_torch(shape: tuple[int, int, int], number: torch.dtype) -> None:
    images, width, rows = shape
    torch.manual_seed(0)
    views, bank = torch.randn(images, width, dtype=number), torch.randn(rows, width, dtype=number)
    scores = torch.randn(images, rows, dtype=number)
    for a, b in ((views, bank), (scores, bank.T)):
        rounding = torch.finfo(number).eps * a.shape[1]  # of a sum of so many terms of size one
        torch.testing.assert_close(
            product_of_rows(a, b).double(), a.double() @ b.double().T, rtol=0.0, atol=8 * rounding
        )


def test_it_passes_no_gradient_and_takes_none_from_others() -> None:
    views = torch.randn(2, 3, requires_grad=True)
    product = product_of_rows(views, torch.randn(4, 3))
    assert not product.requires_grad
