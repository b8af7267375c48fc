// The world and the browser of a file of tests, from its first test to its last.
import { after, before } from 'node:test';
import { startChromium, startPhone } from './phone.mjs';
import { startWorld } from './world.mjs';

export function openStage() {
  const stage = {
    /** @param {string} person @param {(phone: any) => Promise<void>} story */
    withPhone: (person, story, options = {}) => async () => {
      const phone = await startPhone(stage.browser, { world: stage.world, person, ...options });
      await story(phone);
      await phone.close();
    },
  };
  before(async () => {
    stage.world = await startWorld();
    stage.browser = await startChromium();
  }, { timeout: 300000 });
  after(async () => {
    if (stage.browser) await stage.browser.close();
    if (stage.world) await stage.world.stop();
  });
  return stage;
}
