"""The exported files run through the reference's own inference code."""
import contextlib, io
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
import networks
from common import CONFIG, SHIPPED, SILENCE, START, STOP, VOICES, clean

SAMPLING, S3GEN = CONFIG["sampling"], CONFIG["s3gen"]
FADE = 480                                         # samples


class Pico:
    def __init__(self, folder=SHIPPED):
        self.t3, self.s3gen, self.vocoder = (networks.load(part, folder) for part in ("t3", "s3gen", "vocoder"))
        self.tokenizer = Tokenizer.from_file(f"{SHIPPED}/tokenizer.json")
        self.voices = {v: load_file(f"{SHIPPED}/voices/{v}.safetensors") for v in VOICES}

    @torch.inference_mode()
    def tokens(self, text, voice):
        """(text ids, speech tokens, whether they stopped by themselves), decoded greedily."""
        from chatterbox.models.t3.modules.cond_enc import T3Cond
        ids = torch.tensor([self.tokenizer.encode(clean(text)).ids])
        most = min(SAMPLING["max_new_tokens_base"] + SAMPLING["max_new_tokens_per_char"] * ids.shape[1],
                   CONFIG["t3"]["n_positions"] - ids.shape[1] - 2)
        condition = T3Cond(speaker_emb=self.voices[voice]["speaker_emb"][None], emotion_adv=None)
        embeds, _ = self.t3.prepare_input_embeds(t3_cond=condition, text_tokens=ids, speech_tokens=torch.tensor([[START]]))
        past, said = None, []
        while len(said) < most:
            out = self.t3.tfmr(inputs_embeds=embeds, past_key_values=past, use_cache=True)
            past = out.past_key_values
            token = int(self.t3.speech_head(out[0][:, -1]).argmax())
            if token == STOP:
                return ids[0], said, True
            said.append(token)
            embeds = self.t3.speech_emb(torch.tensor([[token]]))
        return ids[0], said, False

    @torch.inference_mode()
    def mel(self, tokens, voice, noise=None):
        """[1, 80, frames]"""
        row = torch.tensor([tokens])
        if noise is None:
            noise = S3GEN["noise_scale"] * torch.randn(1, 80, 2 * row.shape[1])
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            return self.s3gen.inference(
                token=row, token_len=torch.tensor([row.shape[1]]), prompt_token=torch.zeros(1, 0, dtype=torch.long),
                prompt_token_len=torch.tensor([0]), prompt_feat=torch.zeros(1, 0, 80), prompt_feat_len=None,
                embedding=self.voices[voice]["embedding"][None], finalize=True, n_timesteps=S3GEN["n_timesteps"],
                noised_mels=noise, meanflow=True)[0]

    @torch.inference_mode()
    def wave(self, mel):
        """Samples at 24 kHz, faded in as Turbo fades."""
        y = self.vocoder.inference(speech_feat=mel)[0][0].clone()
        fade = torch.zeros(2 * FADE)
        fade[FADE:] = (torch.cos(torch.linspace(torch.pi, 0, FADE)) + 1) / 2
        y[: 2 * FADE] *= fade
        return y

    def say(self, text, voice):
        _, tokens, stopped = self.tokens(text, voice)
        return tokens, self.wave(self.mel(tokens + [SILENCE] * S3GEN["trailing_silence_tokens"], voice)), stopped
