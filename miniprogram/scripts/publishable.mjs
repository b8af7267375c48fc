// Runs before `npm publish`: the addresses in package.json are of nobody until a team that publishes writes its own there.
import fs from 'node:fs';

const { homepage, repository } = JSON.parse(fs.readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
const placeholders = [homepage, repository.url].filter((address) => new URL(address.replace(/^git\+/, '')).hostname.endsWith('.example'));
if (placeholders.length) {
  process.stderr.write(`package.json still names ${placeholders.join(' and ')}: write where your clone lives, in README.md too\n`);
  process.exitCode = 1;
}
