"""Evaluation: test sets, protocols, PSNR and SSIM, and the demonstration."""
