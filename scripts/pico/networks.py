"""The three networks, built from the reference's own classes and config.json, with the shipped weights."""
import math, os, re
import torch
from safetensors.torch import load_file
from common import CHECKPOINTS, CONFIG, PHONE_OF, SHIPPED, VOICES

PARTS = {                                          # the shipped file of each part, and the prefix of its tensors there
    "t3": ("t3.safetensors", ""),
    "s3gen": ("s3gen.safetensors", "flow."),
    "vocoder": ("s3gen.safetensors", "mel2wav."),
    "pitch": ("s3gen.safetensors", "mel2wav.f0_predictor."),
}


def t3(c=CONFIG["t3"]):
    from chatterbox.models.t3 import t3 as module
    from chatterbox.models.t3.modules.t3_config import T3Config
    module.LLAMA_CONFIGS["pico"] = dict(
        model_type="gpt2", activation_function=c["activation_function"], n_embd=c["n_embd"], hidden_size=c["n_embd"],
        n_head=c["n_head"], n_layer=c["n_layer"], n_positions=c["n_positions"], n_ctx=c["n_positions"], vocab_size=1,
        layer_norm_epsilon=c["layer_norm_epsilon"], attn_pdrop=0.0, embd_pdrop=0.0, resid_pdrop=0.0)
    hp = T3Config(text_tokens_dict_size=c["text_vocab_size"])
    hp.llama_config_name, hp.input_pos_emb, hp.speech_tokens_dict_size = "pico", None, c["speech_vocab_size"]
    hp.start_speech_token, hp.stop_speech_token = c["start_speech_token"], c["stop_speech_token"]
    hp.speech_cond_prompt_len, hp.use_perceiver_resampler, hp.emotion_adv = 0, False, False
    return module.T3(hp)


def s3gen(c=CONFIG["s3gen"]):
    from chatterbox.models.s3gen.decoder import ConditionalDecoder
    from chatterbox.models.s3gen.flow import CausalMaskedDiffWithXvec
    from chatterbox.models.s3gen.flow_matching import CausalConditionalCFM
    from chatterbox.models.s3gen.transformer import upsample_encoder as u
    e = dict(c["encoder"])
    up_blocks, ahead, stride = e.pop("num_up_blocks"), e.pop("pre_lookahead_len"), e.pop("up_stride")
    encoder = u.UpsampleConformerEncoder(dropout_rate=0.0, positional_dropout_rate=0.0, attention_dropout_rate=0.0, **e)
    width = e["output_size"]                     # the class fixes these three sizes, so they are put in afterwards
    encoder.pre_lookahead_layer = u.PreLookaheadLayer(channels=width, pre_lookahead_len=ahead)
    encoder.up_layer = u.Upsample1D(channels=width, out_channels=width, stride=stride)
    encoder.up_encoders = encoder.up_encoders[:up_blocks]
    estimator = ConditionalDecoder(dropout=0.0, meanflow=c["meanflow"], **c["estimator"])
    return CausalMaskedDiffWithXvec(
        input_size=e["input_size"], vocab_size=c["vocab_size"], spk_embed_dim=c["spk_embed_dim"], pre_lookahead_len=ahead,
        token_mel_ratio=c["token_mel_ratio"], encoder=encoder, decoder=CausalConditionalCFM(spk_emb_dim=80, estimator=estimator))


def vocoder(c=CONFIG["mel2wav"]):
    from chatterbox.models.s3gen.f0_predictor import ConvRNNF0Predictor
    from chatterbox.models.s3gen.hifigan import HiFTGenerator
    c = dict(c)
    return HiFTGenerator(f0_predictor=ConvRNNF0Predictor(**c.pop("f0_predictor")), **c)


def pitch():
    """The vocoder's F0 predictor, which is trained by itself."""
    return vocoder().f0_predictor


BUILD = {"t3": t3, "s3gen": s3gen, "vocoder": vocoder, "pitch": pitch}


def shipped(part, folder=SHIPPED):
    """The weights of a part as `folder` has them, widened to f32."""
    file, prefix = PARTS[part]
    return {k.removeprefix(prefix): v.float() for k, v in load_file(f"{folder}/{file}").items() if k.startswith(prefix)}


def widened(network, state):
    """The weights `state` of a vocoder with fewer channels, for `network`, without a change of what it computes: the further channels
    have `network`'s own random weights, and none of the old ones listens to them yet."""
    weights = network.state_dict()
    grown = {}
    for name, old in state.items():
        grown[name] = new = weights[name].clone()
        if old.dim() == 3:                             # of a convolution: rows are outputs, in `ups` inputs
            new[:len(old)] = 0
            if name.startswith("ups.") and name.endswith("original1"):
                new[len(old):, :old.shape[1]] = 0
        new[tuple(map(slice, old.shape))] = old
    return grown


def deepened(network, state):
    """The weights `state` of an S3Gen with fewer middle blocks, for `network`, without a change of what it computes: the further
    blocks pass on what they get, since the last layer of each of their branches gives zeros."""
    block = lambda name: name.split(".")[3] if name.startswith("decoder.estimator.mid_blocks.") else None
    known, grown = set(map(block, state)) | {None}, dict(state)
    for name, random in network.state_dict().items():
        if block(name) in known:
            continue
        grown[name] = random.clone()
        if name.endswith("res_conv.weight"):
            grown[name] = torch.eye(len(random))[..., None]
        elif re.search(r"(res_conv\.bias|block2\.block\.2\.\w+|attn1\.to_out\.0\.\w+|ff\.net\.2\.\w+)$", name):
            grown[name].zero_()
    return grown


GROWN = {"vocoder": widened, "s3gen": deepened}


def load(part, folder=SHIPPED):
    """A part with the weights of `folder`, where it may be smaller than config.json says in the ways of `GROWN`."""
    network = BUILD[part]()
    state = shipped(part, folder)
    if part in GROWN:
        state = GROWN[part](network, state)
    missing, unexpected = network.load_state_dict(state, strict=False)
    assert not unexpected and all(unused(part, k) for k in missing), (missing, unexpected)
    return network.eval()


def fresh(part):
    """A part that knows nothing yet."""
    network = BUILD[part]()
    if part == "t3":
        width, positions = CONFIG["t3"]["n_embd"], CONFIG["t3"]["n_positions"]
        angles = torch.arange(positions)[:, None] * torch.exp(torch.arange(width // 2) * -(math.log(3000.0) / (width // 2)))
        network.tfmr.wpe.weight.data.copy_(torch.cat([angles.sin(), angles.cos()], 1) * .08)
        for embedding in (network.text_emb, network.speech_emb):
            embedding.weight.data.normal_(0, .08)
        for i, phone in enumerate(PHONE_OF):           # tokens of one phone start out alike
            alike = torch.Generator().manual_seed(sum(map(ord, phone)) * 7919)
            network.speech_emb.weight.data[i] += torch.randn(width, generator=alike) * .08
    if part == "s3gen":                                # about the mean log mel of speech
        for layer in (network.decoder.estimator.final_proj, network.encoder_proj):
            layer.bias.data.fill_(-6.0)
    return network


def unused(part, name):
    """Tensors that the reference's classes hold and no published file does."""
    return part == "t3" and (name == "tfmr.wte.weight" or name.endswith((".attn.bias", ".attn.masked_bias")))


def voice_vectors(key, folder=SHIPPED):
    """The fixed vectors that name the voices, one row each: `speaker_emb` for T3, `embedding` for S3Gen."""
    return torch.stack([load_file(f"{folder}/voices/{v}.safetensors")[key] for v in VOICES])


def checkpoint(part):
    return os.path.join(CHECKPOINTS, f"{part}.pt")
