/** Which three bands are seen and segmented. */

const CHANNELS = ["Red", "Green", "Blue"];

export class BandChoice {
  /**
   * @param {HTMLElement} home
   * @param {(bands: number[]) => void} chosen hears of bands from 0
   */
  constructor(home, chosen) {
    this.home = home;
    this.selects = CHANNELS.map((channel) => {
      const select = document.createElement("select");
      select.setAttribute("aria-label", channel);
      select.title = `Band that is shown in ${channel.toLowerCase()}`;
      select.addEventListener("change", () => chosen(this.bands));
      home.append(select);
      return select;
    });
  }

  get bands() {
    return this.selects.map((select) => Number(select.value));
  }

  /**
   * Offer the bands of a raster; there is nothing to choose where it has three or fewer.
   * @param {string[]} names
   * @param {number[]} bands those in use, from 0
   */
  show(names, bands) {
    this.home.hidden = names.length <= CHANNELS.length;
    this.selects.forEach((select, channel) => {
      const options = names.map((name, band) => {
        const option = document.createElement("option");
        option.value = String(band);
        // As text: what a file says is never markup.
        option.textContent = `${band + 1}${name ? ` ${name}` : ""}`;
        option.selected = band === bands[channel];
        return option;
      });
      select.replaceChildren(...options);
    });
  }
}
