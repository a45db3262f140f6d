"""Right answers to the exercises, and how each is changed to make a mistake."""

Change = tuple[str, str]  # what stands in the solution, and what stands there instead

SOLUTIONS = {
    "bpe-merge": """
merged, i = [], 0
while i < len(tokens):
    if tuple(tokens[i : i + 2]) == pair:
        merged.append(pair[0] + pair[1])
        i += 2
    else:
        merged.append(tokens[i])
        i += 1
return merged
""",
    "embedding-lookup": """
places = torch.arange(past, past + ids.shape[1])
return tokens[ids] + positions[places]
""",
    "causal-mask": """
later = torch.arange(time)[:, None] < torch.arange(time)
return torch.where(later, -torch.inf, 0.0)
""",
    "attention": """
scores = q @ k.mT / q.shape[-1] ** 0.5 + mask
shares = torch.exp(scores - scores.amax(-1, keepdim=True))
shares = shares / shares.sum(-1, keepdim=True)
return shares @ v
""",
    "layer-norm": """
mean = x.mean(-1, keepdim=True)
variance = ((x - mean) ** 2).mean(-1, keepdim=True)
return (x - mean) / torch.sqrt(variance + epsilon) * gain + bias
""",
    "mlp": """
fired = torch.clamp(x @ w1.T + b1, min=0)
return fired @ w2.T + b2
""",
    "cross-entropy": """
logits, targets = logits[counts], targets[counts]
largest = logits.amax(-1, keepdim=True)
normaliser = (logits - largest).exp().sum(-1).log() + largest[:, 0]
losses = normaliser - logits[torch.arange(len(targets)), targets]
return losses.mean()
""",
    "optimizer-step": """
mean = FIRST * mean + (1 - FIRST) * gradient
square = SECOND * square + (1 - SECOND) * gradient**2
m = mean / (1 - FIRST**number)
s = square / (1 - SECOND**number)
return weights - rate * m / (s.sqrt() + EPSILON), mean, square
""",
    "sampling": """
shares = torch.softmax(logits / temperature, -1)
result = torch.zeros_like(shares)
total = 0.0
for token in torch.argsort(-shares).tolist():
    result[token] = shares[token]
    total += shares[token].item()
    if total >= top_p:
        break
return result / result.sum()
""",
    "kv-cache": """
end = length + new.shape[2]
stored[:, :, length:end] = new
return stored[:, :, :end]
""",
}

# For each exercise: the mistake, and how the solution above is changed to make it.
MISTAKES: dict[str, list[tuple[str, *tuple[Change, ...]]]] = {
    "bpe-merge": [
        ("only the first place is merged", ("i += 2", "return merged + tokens[i + 2 :]")),
        ("the second half stays", ("i += 2", "i += 1")),
        ("the last token is lost", ("i < len(tokens)", "i < len(tokens) - 1")),
        (
            "merged from the right",
            ("merged, i = [], 0", "tokens, pair, merged, i = tokens[::-1], pair[::-1], [], 0"),
            ("pair[0] + pair[1]", "pair[1] + pair[0]"),
            ("return merged", "return merged[::-1]"),
        ),
        ("merged in either order", ("== pair", "in (pair, pair[::-1])")),
        ("merged in either order", ("== pair", "in (pair, pair[::-1])"), ("pair[0] + pair[1]", "tokens[i] + tokens[i + 1]")),
        (
            "searched in the joined text",
            ("merged, i = [], 0", "return ' '.join(tokens).replace(' '.join(pair), ''.join(pair)).split(' ')\ni = 0"),
        ),
    ],
    "embedding-lookup": [
        ("no positions", (" + positions[places]", "")),
        ("the tokens already read are not counted", ("past, past + ids.shape[1]", "ids.shape[1]")),
        ("places counted from one", ("past, past +", "past + 1, past + 1 +")),
        ("places counted over the texts", ("ids.shape[1]", "ids.shape[0]"), ("[places]", "[places].unsqueeze(1)")),
        ("multiplied", ("] + pos", "] * pos")),
        ("positions looked up by token", ("[places]", "[ids]")),
    ],
    "causal-mask": [
        ("transposed", (" < ", " > ")),
        ("a token can't see itself", (" < ", " <= ")),
        ("one place of the future is seen", (" < ", " < -1 + ")),
        ("hidden and seen exchanged", ("-torch.inf, 0.0", "0.0, -torch.inf")),
        ("ones and zeros", ("-torch.inf, 0.0", "0.0, 1.0")),
        ("ones and zeros", ("torch.where(later, -torch.inf, 0.0)", "~later")),
        ("zero times infinity", ("torch.where(later, -torch.inf, 0.0)", "later.float() * -torch.inf")),
        ("a large number instead of infinity", ("-torch.inf", "-1e9")),
        ("a large number instead of infinity", ("-torch.inf", "torch.finfo(torch.float32).min")),
    ],
    "attention": [
        ("no scale", (" / q.shape[-1] ** 0.5", "")),
        ("the scale without its root", (" ** 0.5", "")),
        ("scaled by another axis", ("q.shape[-1]", "q.shape[-2]")),
        ("scaled by another axis", ("q.shape[-1]", "(q.shape[1] * q.shape[3])")),
        ("the mask is not used", (" + mask", "")),
        ("the mask comes after the softmax", (" + mask", ""), ("return shares", "return torch.where(mask == 0, shares, 0.0)")),
        ("the mask comes after the softmax", (" + mask", ""), ("return shares", "return (shares + mask)")),
        ("the mask is transposed", ("+ mask", "+ mask.mT")),
        ("softmax over the wrong axis", ("amax(-1", "amax(-2"), ("sum(-1", "sum(-2")),
        ("softmax over the wrong axis", ("amax(-1", "amax(1"), ("sum(-1", "sum(1")),
        ("queries and keys exchanged", ("q @ k.mT", "k @ q.mT")),
        ("keys are taken over, not values", ("shares @ v", "shares @ k")),
        ("the exponential overflows", (" - scores.amax(-1, keepdim=True)", "")),
    ],
    "layer-norm": [
        ("Bessel's correction", ("((x - mean) ** 2).mean(-1, keepdim=True)", "x.var(-1, keepdim=True)")),
        (
            "epsilon outside the root",
            ("(variance + epsilon)", "(variance) + epsilon"),
            ("/ torch.sqrt", "/ (torch.sqrt"),
            (" * gain", ") * gain"),
        ),
        ("no epsilon", ("variance + epsilon", "variance")),
        ("no root", ("torch.sqrt", "")),
        ("the mean stays", ("return (x - mean)", "return x")),
        ("over the wrong axis", ("-1", "1")),
        ("over the wrong axis", ("-1", "0")),
        ("gain and bias are not used", (" * gain + bias", "")),
        ("gain and bias are not used", (" + bias", "")),
    ],
    "mlp": [
        ("nothing bends", (", min=0", ", min=-torch.inf")),
        ("the output is bent too", ("fired @ w2.T + b2", "torch.relu(fired @ w2.T + b2)")),
        ("the input is bent", ("clamp(x", "clamp(x.relu()")),
        ("a bias is left out", (" + b1", "")),
        ("a bias is left out", (" + b2", "")),
        ("a bias comes after the bend", (" + b1, min=0)", ", min=0) + b1")),
        ("weights not transposed", (".T", "")),
        ("weights not transposed", ("w1.T", "w1")),
        ("another bend", ("clamp(x @ w1.T + b1, min=0)", "torch.nn.functional.gelu(x @ w1.T + b1)")),
        ("the input is added", ("+ b2", "+ b2 + x")),
    ],
    "cross-entropy": [
        ("mean over padding", ("logits[counts], targets[counts]", "logits.flatten(0, 1), targets.flatten()")),
        ("mean over padding", ("losses.mean()", "losses.sum() / counts.numel()")),
        ("the exponential overflows", (" - largest)", ")"), (" + largest[:, 0]", "")),
        ("the logarithm of zero", ("losses.mean()", "-logits.softmax(-1).take_along_dim(targets[:, None], 1).log().mean()")),
        (
            "a small number under the logarithm",
            ("losses.mean()", "-(logits.softmax(-1).take_along_dim(targets[:, None], 1) + 1e-9).log().mean()"),
        ),
        ("the sum, not the mean", (".mean()", ".sum()")),
        (
            "a mean of means",
            ("losses.mean()", "torch.stack([one.mean() for one in losses.split(counts.sum(1).tolist())]).mean()"),
        ),
        ("bits", ("losses.mean()", "losses.mean() / torch.tensor(2.0).log()")),
        ("the sign", ("return ", "return -")),
        (
            "shifted once more",
            ("logits[counts], targets[counts]", "logits[:, :-1][counts[:, 1:]], targets[:, 1:][counts[:, 1:]]"),
        ),
        (
            "softmax over the wrong axis",
            ("logits, targets = logits[counts]", "logits, targets = logits.log_softmax(1)[counts]"),
            ("losses.mean()", "-logits[range(len(targets)), targets].mean()"),
        ),
        ("no gradient", ("losses.mean()", "torch.tensor(losses.mean().item())")),
    ],
    "optimizer-step": [
        ("no bias correction", (" / (1 - FIRST**number)", ""), (" / (1 - SECOND**number)", "")),
        ("only one mean is corrected", (" / (1 - SECOND**number)", "")),
        ("only one mean is corrected", (" / (1 - FIRST**number)", "")),
        ("steps counted from zero", ("FIRST**number", "FIRST**(number - 1)"), ("SECOND**number", "SECOND**(number - 1)")),
        ("steps counted from zero", ("FIRST**number", "FIRST**(number + 1)"), ("SECOND**number", "SECOND**(number + 1)")),
        ("epsilon under the root", ("(s.sqrt() + EPSILON)", "(s + EPSILON).sqrt()")),
        ("no epsilon", (" + EPSILON", "")),
        ("no root", (".sqrt()", "")),
        ("uphill", ("weights -", "weights +")),
        ("the betas are exchanged", ("mean = FIRST", "FIRST, SECOND = 0.99, 0.9\nmean = FIRST")),
        ("the gradient is not squared", ("gradient**2", "gradient")),
        ("the corrected means are kept", (", mean, square\n", ", m, s\n")),
    ],
    "sampling": [
        ("multiplied by the temperature", ("logits / temp", "logits * temp")),
        ("no temperature", (" / temperature", "")),
        (
            "probabilities divided by the temperature",
            (" / temperature", ""),
            ("result / result.sum()", "result / result.sum() / temperature"),
        ),
        (
            "top-p before the temperature",
            ("logits / temperature", "logits"),
            ("result / result.sum()", "(logits / temperature).masked_fill(result == 0, -torch.inf).softmax(-1)"),
        ),
        (
            "the token that reaches top-p is dropped",
            ("    result[token] = shares[token]\n", ""),
            ("        break\n", "        break\n    result[token] = shares[token]\n"),
            ("total >= top_p", "total > top_p + 1e-6"),
        ),
        ("not normalised after the cut", (" / result.sum()", "")),
        ("left in order of size", ("return result", "return result.sort(descending=True)[0]")),
        ("the unlikeliest are kept", ("argsort(-", "argsort(")),
        ("a logit of zero is not impossible", ("result / result.sum()", "(logits / temperature * (result > 0)).softmax(-1)")),
        (
            "the exponential overflows",
            ("torch.softmax(logits / temperature, -1)", "(logits / temperature).exp()\nshares /= shares.sum()"),
        ),
    ],
    "kv-cache": [
        ("one place too far", ("length:end", "length + 1 : end + 1")),
        ("one place too far", ("length:end", "length + 1 : end + 1"), (":end]", ": end + 1]")),
        ("one place too early", ("length:end", "max(0, length - 1) : max(0, length - 1) + new.shape[2]")),
        ("one place too early", ("length:end", "length - 1 : end - 1")),
        ("always written at the start", ("length:end", ": new.shape[2]")),
        ("the whole buffer comes back", ("stored[:, :, :end]", "stored")),
        ("the newest tokens are missing from what comes back", (":end]\n", ":length]\n")),
        (
            "the newest tokens are missing from what comes back",
            ("return stored[:, :, :end]", "return stored[:, :, : end - 1]"),
        ),
        ("only the new ones come back", ("return stored[:, :, :end]", "return new")),
        ("nothing is stored", ("stored[:, :, length:end] =", "stored = stored.clone()\nstored[:, :, length:end] =")),
    ],
}
