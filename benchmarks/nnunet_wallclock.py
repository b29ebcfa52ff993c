"""nnU-Net's own recipe, ended by the clock: its polynomial schedule runs over the seconds given instead of epochs.

Runs in nnU-Net's environment, found there through ``nnUNet_extTrainer``. ``NNUNET_SECONDS`` counts from the first step:
imports, building the network and starting the workers are free. No step is spent on validation.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

POWER = 0.9  # of its PolyLRScheduler


class WallClockTrainer(nnUNetTrainer):
    def run_training(self) -> None:
        torch.manual_seed(int(os.environ.get("NNUNET_SEED", "0")))  # its workers draw their own seeds
        seconds = float(os.environ["NNUNET_SECONDS"])
        self.on_train_start()
        self.network.train()
        steps, started = 0, time.monotonic()
        while (gone := time.monotonic() - started) < seconds:
            for group in self.optimizer.param_groups:
                group["lr"] = self.initial_lr * (1 - gone / seconds) ** POWER
            self.train_step(next(self.dataloader_train))
            steps += 1
        Path(self.output_folder, "steps.json").write_text(json.dumps({"steps": steps, "seconds": gone}))
        self.current_epoch = 1  # on_train_end takes one off
        self.on_train_end()

    def perform_actual_validation(self, save_probabilities: bool = False) -> None:
        """Left to nnUNetv2_predict."""
