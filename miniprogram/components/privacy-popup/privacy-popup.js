/**
 * Asks for consent when WeChat says that a privacy API needs it. The last page that registered is the one that is asked,
 * so every page that uses such an API has a popup of its own.
 */
Component({
  data: { open: false, contract: '《用户隐私保护指引》' },

  lifetimes: {
    attached() {
      this.register();
    },
    /** WeChat holds back what asked until it is answered, also when the user leaves the page instead. */
    detached() {
      this.decide({ event: 'disagree' });
    },
  },
  pageLifetimes: {
    show() {
      this.register();
    },
  },

  methods: {
    register() {
      if (!wx.onNeedPrivacyAuthorization) return; // before 2.32.3 WeChat shows a popup of its own
      wx.onNeedPrivacyAuthorization((/** @type {any} */ resolve) => {
        const { answer } = this;
        this.answer = (/** @type {object} */ decision) => { // two may wait: each has a resolve of its own
          answer(decision);
          resolve(decision);
        };
        this.setData({ open: true });
      });
    },

    /** @type {(decision: object) => void} */
    answer() {},

    /** @param {object} decision */
    decide(decision) {
      const { answer } = this;
      this.answer = () => {};
      this.setData({ open: false });
      answer(decision);
    },

    onAgree() {
      this.decide({ event: 'agree', buttonId: 'privacy-agree' });
    },

    onRefuse() {
      this.decide({ event: 'disagree' });
    },

    onRead() {
      wx.openPrivacyContract({});
    },

    onIgnore() {},
  },
});
