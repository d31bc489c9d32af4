# The steps that check:gpu times, as PyTorch does them: configurations A, B and C (fixed teachers' logits, entropy
# weights, KL, cross-entropy, features, AdamW), and the real size (a live teacher of 135 M parameters, a student of
# 30 M, a vocabulary of 50,280). Prints a JSON line for each setting.
#
# python3 peer.py time|warm [--quick]     warm: compiles every setting once, side by side, for the cache on disk
import json, subprocess, sys, time

import torch
import torch.nn.functional as F

CONFIGURATIONS = {
    'tiny': dict(V=256, d=32, L=2, H=2, T=16, B=2, dt=32),
    'A': dict(V=2048, d=192, L=4, H=6, T=128, B=16, dt=256),
    'B': dict(V=4096, d=384, L=6, H=6, T=256, B=8, dt=512),
    'C': dict(V=12288, d=512, L=6, H=8, T=256, B=4, dt=512),
}
REAL = {
    'real': dict(V=50280, T=128, B=8, teacher=(576, 30, 9, 3, 1536), student=(384, 6, 6, 2, 1024)),
    'small': dict(V=512, T=16, B=2, teacher=(64, 2, 4, 2, 128), student=(32, 2, 2, 1, 64)),
}
WARM_UP, STEPS, SECONDS = 3, 20, 4
device = 'cuda' if torch.cuda.is_available() else 'cpu'


def table(*shape, deviation=1.0, grad=False):
    return (torch.randn(shape, device=device) * deviation).requires_grad_(grad)


def reference(name):
    """Parameters, and the loss of step i, of a configuration."""
    V, d, L, H, T, B, dt = [CONFIGURATIONS[name][k] for k in ('V', 'd', 'L', 'H', 'T', 'B', 'dt')]
    N = B * T
    P = {'emb': table(V, d, deviation=0.02, grad=True), 'gf': table(d, deviation=0, grad=True)}
    for l in range(L):
        P |= {f'{l}.g{i}': table(d, deviation=0, grad=True) for i in (1, 2)}
        P |= {f'{l}.w{q}': table(d, d, deviation=0.02, grad=True) for q in 'qkvo'}
        P[f'{l}.w1'] = table(d, 4 * d, deviation=0.02, grad=True)
        P[f'{l}.w2'] = table(4 * d, d, deviation=0.02, grad=True)
    P['proj'] = table(d, dt, deviation=0.02, grad=True)
    teachers = [table(N, V) for _ in range(3)]
    features = [table(N, dt) for _ in range(3)]

    def norm(x, g):
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-5) * (g + 1)

    def heads(y):
        return y.view(B, T, H, d // H).transpose(1, 2)

    def loss(tokens, labels):
        x = P['emb'][tokens]
        for l in range(L):
            h = norm(x, P[f'{l}.g1'])
            q, k, v = (heads(h @ P[f'{l}.w{n}']) for n in 'qkv')
            o = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(N, d)
            x = x + o @ P[f'{l}.wo']
            m = norm(x, P[f'{l}.g2']) @ P[f'{l}.w1']
            x = x + (m * torch.sigmoid(1.702 * m)) @ P[f'{l}.w2']
        hidden = norm(x, P['gf'])
        logq = F.log_softmax((hidden @ P['emb'].T).float(), -1)
        with torch.no_grad():
            ps = [F.softmax(t, -1) for t in teachers]
            entropies = [-(p * F.log_softmax(t, -1)).sum(-1, keepdim=True) for p, t in zip(ps, teachers)]
            alpha = F.softmax(-torch.cat(entropies, 1), 1)
            fused = sum(p * alpha[:, i : i + 1] for i, p in enumerate(ps))
        projected = hidden @ P['proj']
        aligned = sum((projected - f).square().mean() for f in features)
        return 0.7 * -(fused * logq).sum() / N + 0.3 * F.nll_loss(logq, labels) + 0.1 * aligned

    def batch(i):
        at = torch.arange(N, device=device)
        return (at * 31 + i) % V, (at * 17 + i) % V

    return list(P.values()), loss, batch, N


class Llama(torch.nn.Module):
    def __init__(self, V, T, d, L, H, K, hidden):
        super().__init__()
        self.shape = (T, H, K, d // H)
        make = lambda *shape: torch.nn.Parameter(torch.randn(shape) * 0.02)
        self.emb = make(V, d)
        self.layers = torch.nn.ParameterList()
        for _ in range(L):
            kv = d // H * K
            shapes = [(d, d), (kv, d), (kv, d), (d, d), (hidden, d), (hidden, d), (d, hidden)]
            self.layers.extend([make(*shape) for shape in shapes])
            self.layers.extend([torch.nn.Parameter(torch.ones(d)) for _ in range(2)])
        self.last = torch.nn.Parameter(torch.ones(d))
        half = d // H // 2
        angle = torch.arange(T)[:, None] * 10000.0 ** (-torch.arange(half) / half)
        self.register_buffer('cos', angle.cos().repeat(1, 2))
        self.register_buffer('sin', angle.sin().repeat(1, 2))

    def forward(self, tokens):
        T, H, K, D = self.shape
        norm = lambda x, g: F.rms_norm(x, (x.shape[-1],), g.to(x.dtype), 1e-5)

        def turn(x):
            a, b = x.chunk(2, -1)
            return (x * self.cos + torch.cat([-b, a], -1) * self.sin).to(x.dtype)

        x = self.emb[tokens]
        for l in range(0, len(self.layers), 9):
            q, k, v, o, gate, up, down, g1, g2 = [self.layers[l + i] for i in range(9)]
            h = norm(x, g1)
            split = lambda w, n: F.linear(h, w).view(-1, T, n, D).transpose(1, 2)
            rep = lambda y: y.repeat_interleave(H // K, 1)
            mixed = F.scaled_dot_product_attention(turn(split(q, H)), rep(turn(split(k, K))), rep(split(v, K)), is_causal=True)
            x = x + F.linear(mixed.transpose(1, 2).reshape(x.shape), o)
            h = norm(x, g2)
            x = x + F.linear(F.silu(F.linear(h, gate)) * F.linear(h, up), down)
        return F.linear(norm(x, self.last), self.emb)


def distillation(name, precision):
    """A live teacher and a student: entropy weights, fused target, KL at tau 2, cross-entropy."""
    c = REAL[name]
    V, T, B = c['V'], c['T'], c['B']
    teachers = [Llama(V, T, *c['teacher']).to(device, torch.bfloat16 if precision == 'bf16' else torch.float32)]
    for t in teachers:
        t.requires_grad_(False)
    student = Llama(V, T, *c['student']).to(device)
    lam, tau = 0.7, 2.0

    def loss(tokens, labels):
        with torch.no_grad():
            said = [t(tokens).float() for t in teachers]
            entropies = torch.stack([-(l.softmax(-1) * l.log_softmax(-1)).sum(-1) for l in said], -1)
            alpha = (-entropies).softmax(-1)
            p = sum((l / tau).softmax(-1) * alpha[..., i : i + 1] for i, l in enumerate(said))
        own = student(tokens).float()
        kd = F.kl_div((own / tau).log_softmax(-1).flatten(0, 1), p.flatten(0, 1), reduction='batchmean') * tau * tau
        return lam * kd + (1 - lam) * F.cross_entropy(own.flatten(0, 1), labels.flatten())

    def batch(i):
        generator = torch.Generator().manual_seed(i)
        x = torch.randint(0, V, (B, T + 1), generator=generator).to(device)
        return x[:, :-1], x[:, 1:]

    return list(student.parameters()), loss, batch, B * T


def measure(name, precision, compiled, steps, seconds):
    torch.manual_seed(1)
    if device == 'cuda':
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    parameters, loss, batch, tokens = reference(name) if name in CONFIGURATIONS else distillation(name, precision)
    if compiled:
        loss = torch.compile(loss)
    optimizer = torch.optim.AdamW(parameters, lr=1e-3, betas=(0.9, 0.95), weight_decay=0.01, fused=True)
    times, first, began = [], None, time.time()
    while len(times) < WARM_UP + steps and (len(times) <= WARM_UP or sum(times[WARM_UP:]) < seconds):
        x, y = batch(len(times))
        started = time.time()
        with torch.autocast(device, dtype=torch.bfloat16, enabled=precision == 'bf16'):
            value = loss(x, y)
        optimizer.zero_grad()
        value.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        last = value.item()  # waits for the device, as reading the metrics does
        if device == 'cuda':
            torch.cuda.synchronize()
        times.append(time.time() - started)
        first = last if first is None else first
    median = sorted(times[WARM_UP:])[len(times[WARM_UP:]) // 2]
    return {
        'what': name,
        'device': f'PyTorch {torch.__version__.split("+")[0]} {device}, {"compile" if compiled else "eager"}',
        'precision': precision,
        'msPerStep': median * 1000,
        'tokensPerSecond': tokens / median,
        **({'gpuMb': torch.cuda.max_memory_reserved() / 2**20} if device == 'cuda' else {}),
        'note': f'first step {times[0]:.1f} s, loss {first:.3f} to {last:.3f}',
    }


def main():
    quick = '--quick' in sys.argv
    names = ['tiny', 'small'] if quick else ['A', 'B', 'C', 'real']
    settings = [(n, p, c) for c in (False, True) for p in ('f32', 'bf16') for n in names]
    if quick:
        settings = [s for s in settings if not s[2]]
    if device == 'cpu' and not quick:
        print(json.dumps({'row': {'what': 'PyTorch', 'device': 'PyTorch', 'error': 'torch sees no CUDA device'}}), flush=True)
        return
    if sys.argv[1] == 'warm':
        compiled = [s for s in settings if s[2]]
        run = lambda s: subprocess.Popen([sys.executable, __file__, 'one', *map(str, s)], stdout=subprocess.DEVNULL)
        for process in [run(s) for s in compiled]:
            process.wait()
    elif sys.argv[1] == 'one':
        measure(sys.argv[2], sys.argv[3], sys.argv[4] == 'True', 1, 1)
    else:
        for setting in settings:
            try:
                row = measure(*setting, 4 if quick else STEPS, SECONDS)
            except Exception as error:
                how = 'compile' if setting[2] else 'eager'
                text = (str(error).splitlines() or [''])[0]
                row = {'what': setting[0], 'device': f'PyTorch, {how}', 'precision': setting[1], 'error': f'{type(error).__name__}: {text}'}
            print(json.dumps({'row': row}), flush=True)


main()
