// A real OpenID provider on loopback for the sign-in tests: `node provider.mjs PORT REDIRECT_URI`. Its page lists the people there are.
import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import Provider, { interactionPolicy } from 'oidc-provider';

const [port, redirectUri] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${port}`;

const people = {
  vera: { email: 'vera@example.org', email_verified: true },
  ana: { email: 'ana@example.org', email_verified: true, roles: ['offline_access', 'analyst'] },
  rita: { email: 'Rita@Example.org', email_verified: true, roles: ['viewer'] },
  mallory: { email: 'rita@example.org', email_verified: false },
};

const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const policy = interactionPolicy.base();
policy.add(new interactionPolicy.Prompt({ name: 'select_account', requestable: true }), 0);

const provider = new Provider(issuer, {
  clients: [{
    client_id: 'heatproof',
    client_secret: 'a secret of the tests alone, 32 characters',
    redirect_uris: [redirectUri],
    post_logout_redirect_uris: [redirectUri],
  }],
  jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), use: 'sig', kid: 'test' }] },
  cookies: { keys: ['a cookie key of the tests alone'] },
  claims: { openid: ['sub', 'roles'], email: ['email', 'email_verified'], profile: ['name'] },
  conformIdTokenClaims: false, // claims in the ID token itself, which is what the dashboard reads
  interactions: { policy, url: (ctx, interaction) => `/interaction/${interaction.uid}` },
  findAccount: (ctx, id) => (id in people ? { accountId: id, claims: () => ({ sub: id, ...people[id] }) } : undefined),
  async loadExistingGrant(ctx) {
    const grant = new ctx.oidc.provider.Grant({ clientId: ctx.oidc.client.clientId, accountId: ctx.oidc.session.accountId });
    grant.addOIDCScope('openid email profile');
    await grant.save();
    return grant;
  },
  features: {
    devInteractions: { enabled: false },
    rpInitiatedLogout: {
      enabled: true,
      logoutSource: (ctx, form) => {
        ctx.body = `<!doctype html><title>Provider</title>${form}<button type="submit" form="op.logoutForm" name="logout" value="yes">End it</button>`;
      },
    },
  },
});

async function choose(request, response) {
  if (request.method === 'POST') {
    const accountId = new URL(request.url, issuer).searchParams.get('as');
    await provider.interactionFinished(request, response, { login: { accountId }, select_account: {} });
    return;
  }
  const path = new URL(request.url, issuer).pathname;
  const forms = Object.keys(people).map((id) => `<form method="post" action="${path}?as=${id}"><button>${id}</button></form>`);
  response.writeHead(200, { 'content-type': 'text/html' }).end(`<!doctype html><title>Provider</title>${forms.join('')}`);
}

const others = provider.callback();
createServer((request, response) => {
  if (!request.url.startsWith('/interaction/')) return others(request, response);
  return choose(request, response).catch((error) => response.writeHead(500).end(String(error)));
}).listen(Number(port), '127.0.0.1', () => console.log('listening'));
