"""What the trainers share: options, the device, an average of the weights, and checkpoints to go on from."""
import argparse, os, signal, time
import torch
import networks


def options(doc, **defaults):
    """Every trainer's command line; `defaults` are its learning rate and batch."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("minutes", type=float, help="wall time; run again to go on")
    parser.add_argument("--lr", type=float, default=defaults["lr"])
    parser.add_argument("--batch", type=int, default=defaults["batch"], help=defaults["batch_help"])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--bf16", action="store_true", help="products in bf16 on a CPU too: in half of the time where it has them (AVX512-BF16, AMX)")
    parser.add_argument("--fresh", action="store_true", help="from random weights, not from the shipped ones")
    parser.add_argument("--end", type=float, default=1.0, help="share of the learning rate that is left at the end")
    return parser


class Run:
    """A network in training, from its checkpoint, else from the shipped weights. The rate is constant after a warm-up (or falls to
    `end`), and an average of the weights over the last tenth of all steps is what counts, so any moment is a good one to stop at."""

    WARM = 100

    def __init__(self, part, a):
        torch.set_num_threads(a.threads)
        self.part, self.a, self.device = part, a, torch.device(a.device)
        self.path = networks.checkpoint(part)
        self.net = (networks.fresh(part) if a.fresh else networks.load(part)).train().to(self.device)
        self.steps, self.extra, state = 0, {}, None
        if os.path.exists(self.path):
            state = torch.load(self.path, map_location=self.device)
            self.net.load_state_dict(state["net"])
            self.steps, self.extra = state["steps"], state["extra"]
            print(f"{part}: going on from step {self.steps}", flush=True)
        self.mean = {k: v.clone() for k, v in (state["mean"] if state else self.net.state_dict()).items()}
        self.optimizers = state["optimizers"] if state else []
        self.begun = self.saved = self.told = time.time()
        self.first, self.parts, self.stopped = self.steps, {}, False
        signal.signal(signal.SIGTERM, lambda *_: setattr(self, "stopped", True))

    def adopt(self, *optimizers):
        """Takes the optimizers over; their state continues the checkpoint's."""
        for optimizer, state in zip(optimizers, self.optimizers):
            optimizer.load_state_dict(state)
        self.optimizers = optimizers

    def going(self):
        """Whether another step is due; sets its learning rate."""
        past = (time.time() - self.begun) / 60 / self.a.minutes if self.a.minutes else 1.0
        warm = min(1.0, (self.steps - self.first + 1) / self.WARM)
        share = warm * (1 - (1 - self.a.end) * min(1.0, past))
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = self.a.lr * group.get("scale", 1.0) * share
        return past < 1 and not self.stopped

    def products(self):
        """The context of a forward pass whose products may be rounded."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.a.bf16 or self.device.type == "cuda")

    def step(self, loss, parts, clip):
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)
        loss.backward()
        for parameters, most in clip:
            torch.nn.utils.clip_grad_norm_(parameters, most)
        for optimizer in self.optimizers:
            optimizer.step()
        self.steps += 1
        with torch.no_grad():
            keep = (1 - 1 / self.steps) ** 12
            for k, v in self.net.state_dict().items():
                if v.is_floating_point():
                    self.mean[k].lerp_(v, 1 - keep)
        for k, v in parts.items():
            v = v.detach().item()
            self.parts[k] = .98 * self.parts.get(k, v) + .02 * v
        if self.steps % 50 == 0:
            now = time.time()
            losses = " ".join(f"{k} {v:.4f}" for k, v in self.parts.items())
            print(f"{self.steps} {(now - self.begun) / 60:.1f}m {(now - self.told) / 50:.2f} s/step {losses}", flush=True)
            self.told = now
        if time.time() - self.saved > 120:
            self.save()

    def averaged(self):
        """The network with its averaged weights, for validation."""
        net = networks.BUILD[self.part]().to(self.device).eval()
        net.load_state_dict(self.mean)
        return net

    def save(self):
        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        state = dict(net=self.net.state_dict(), mean=self.mean, steps=self.steps, extra=self.extra,
                     optimizers=[o.state_dict() for o in self.optimizers])
        torch.save(state, self.path + ".tmp")
        os.replace(self.path + ".tmp", self.path)
        self.saved = time.time()
